"""The digit lab: what the network reads, which pixels decide it, and the smallest change of mind (notebook 08)."""

from typing import NamedTuple

import numpy as np

from helpers.activations import class_logits, conv_layers, feature_extractor
from helpers.base.graph import maker_of
from helpers.explain.attributions import METHODS, map_shares
from helpers.figures import SIGNED, in_colors
from helpers.images import to_display
from helpers.photos import save_picture
from helpers.widgets import parts
from helpers.widgets.parts.digits import Digits
from helpers.widgets.parts.explorer import Explorer, Refusal, refusals
from helpers.widgets.parts.lines import Runner

EXPLAINED = {  # what a method says, in one sentence
    "gradient": "Where brighter pixels would raise the logit (red) or lower it (blue): what to change, not why.",
    "gradient x input": "The gradient times the pixel: what each pixel would give if the network were linear.",
    "integrated gradients": "How much of the logit the ink of each pixel is worth, measured from a blank page.",
    "SmoothGrad": "The mean gradient over noisy copies of the digit: calmer, and like the gradient about change.",
    "occlusion": "How far the logit falls when a square of 5 x 5 pixels is covered with paper there.",
    "Grad-CAM": "Where the maps of the last convolution speak for the class; coarse, for these maps have few nodes.",
    "deconvnet": "The answer sent back down, rectified at each ReLU; notebook 08 tells how far to trust it.",
    "guided backpropagation": "Like deconvnet, masked where ReLUs were silent; notebook 08 tells how far to trust it.",
}  # fmt: skip
THE_ANSWER = "what it reads"
STEPS = 20  # of the climb that changes a digit
SPEAKERS = 4  # maps that speak most for the class, and as many against it
EDGE = 196
PRESETS = {
    "4 to 9": {}, "which ink counts": {"method": "integrated gradients", "explained": THE_ANSWER, "radius": 0.0},
    "why not a 9?": {"explained": "9", "method": "occlusion"}, "1 to 7": {"digit": 2, "towards": "7", "radius": 0.35},
    "a large change": {"radius": 0.8},
}  # fmt: skip


class MadeDigit(NamedTuple):
    """What is on the page: the digit, its attribution and the changed digit, each `(1, height, width, channels)`."""

    digit: np.ndarray
    heat: np.ndarray
    changed: np.ndarray


def digit_lab(model=None, images=(), labels=(), **settings):
    """Return an explorer of one answer: the probabilities, the pixels they rest on, and what would change them.

    Choose, draw or photograph a digit; choose a method (one of `attributions.METHODS`) and the class it explains; and
    say with *allowed change* how far it may be changed, as a root mean square in deviations of the digit, to have it
    read as another class. Any Keras CNN with two or more class outputs will do, without one it is the shipped one.
    `images (n, height, width, channels)` in model space and `labels (n,)` take the place of the test digits, which
    fit 28 x 28 gray pixels only. Settings are those of the controls, such as `digit_lab(cnn, digit=7, towards="3",
    radius=0.4)`. ValueError for what does not go together. Introduced in notebook 08.
    """
    return _DigitLab(parts.checked_model(model), images, labels, settings).explorer


class _DigitLab:
    def __init__(self, model, images, labels, opened):
        self.model, self.given = model, len(images) > 0
        self.logits = class_logits(model)
        self.classes = self.logits.output_shape[-1]
        if self.classes < 2:
            raise ValueError(f"model {model.name!r} has a single output; the lab needs two classes or more")
        images, labels = parts.checked_digits(model, images, labels)
        self.run = Runner(model, images=images)
        self.digits = Digits(images, labels, number=min(4, len(images) - 1))
        shown = {
            "digit": parts.Picture("the digit", "31%"), "heat": parts.bright(parts.Picture("attribution", "31%")),
            "before": parts.HTML(), "changed": parts.Picture("changed", "31%"),
            "change": parts.bright(parts.Picture("what was changed", "31%")), "after": parts.HTML(),
            "maps": parts.Sheet(edge=53, name="map"), "speakers": parts.HTML(),
        }  # fmt: skip
        for bars in (shown["before"], shown["after"]):
            bars.layout.flex = "1 1 150px"
        save = parts.button("save PNG", "download", "Write the four pictures into the folder of the notebook.")
        presets = {name: values for name, values in PRESETS.items() if self.classes == 10 and not self.given}
        pictures = [parts.row(*(shown[name] for name in ("digit", "heat", "before"))),
                    parts.row(*(shown[name] for name in ("changed", "change", "after"))),
                    shown["speakers"], shown["maps"]]  # fmt: skip
        self.explorer = Explorer(self._controls(), shown, self.answer, "digit_lab(model)", model, opened,
                                 presets or {"as it opens": {}}, pictures=pictures, buttons=[parts.row(save)],
                                 given={"images": images} if self.given else {})  # fmt: skip
        self.explorer.saves(save, save_digit)

    def _controls(self):
        names = [str(number) for number in range(self.classes)]
        return {
            "digit": self.digits,
            "method": parts.choice("method", "How to ask which pixels decide.", options=list(METHODS),
                                   value="integrated gradients"),
            "explained": parts.choice("explained class", "The class whose logit is explained.",
                                      options=[THE_ANSWER, *names]),
            "towards": parts.choice("change towards", "The class that the changed digit shall be read as.",
                                    options=names, value=names[min(9, self.classes - 1)]),
            "radius": parts.number("allowed change", "Root mean square of the change; the digit's is 1.",
                                   value=0.3, min=0, max=1.2, step=0.02),
        }  # fmt: skip

    def answer(self, settings):
        """Yield what is read and why, then what the change makes of it."""
        with refusals():
            digit = self.digits.image(settings.digit)
            if digit.shape[1:] != self.digits.images.shape[1:]:
                raise Refusal("a digit of your own has 28 x 28 gray pixels, which this network does not read")
        answer = int(self.logits.answers(digit)[0].argmax())
        explained = answer if settings.explained == THE_ANSWER else int(settings.explained)
        method = METHODS[settings.method].__name__
        lines = [*self.digits.lines(settings.digit, self.given), f"heat = {method}(model, digit, {explained})"]
        space = self.run(lines)
        heat, before = space["heat"], self._probabilities(space["digit"])
        label = self.digits.label(settings.digit)
        name = self.digits.words(settings.digit) + ("" if label is None else f", a {label}")
        yield {"digit": (parts.large(to_display(digit)[0], EDGE), f"{name}: read as <b>{answer}</b>"),
               "heat": (_signed(heat), f"<b>{settings.method}</b>, class {explained}. {EXPLAINED[settings.method]}"),
               "before": parts.class_bars(before, answer)}
        lines += [f"wish = Margins(class_logits(model), [{settings.towards}])",
                  f"changed = climb_within(wish, digit, {settings.radius:g}, steps={STEPS})"]
        changed = self.run(lines)["changed"]
        after = self._probabilities(changed)
        reads = int(after.argmax())
        yield {"changed": (parts.large(to_display(changed)[0], EDGE), f"changed: read as <b>{reads}</b>"),
               "change": (_signed(changed - digit), "what was changed: red brighter, blue darker"),
               "after": parts.class_bars(after, int(settings.towards)), **self._speakers(digit, explained),
               "status": self._sentence(settings, answer, reads, before, after), "progress": 1,
               "made": MadeDigit(digit, heat, changed),
               "python": [*lines, "signed_grid(np.concatenate([heat, changed - digit]), columns=2)"]}  # fmt: skip

    def _probabilities(self, image):
        return feature_extractor(self.model, maker_of(self.model.outputs[0]).name).answers(image)[0]

    def _speakers(self, digit, explained):
        """The maps of the last convolution that speak most for the class, and most against it."""
        layer = conv_layers(self.model)[-1]
        shares = map_shares(self.model, digit, explained)[0]
        count = min(SPEAKERS, len(shares) // 2)
        order = np.argsort(-shares)
        numbers = np.r_[order[:count], order[len(order) - count :]]
        maps = feature_extractor(self.model, layer).answers(digit)[0][..., numbers].transpose(2, 0, 1)[..., np.newaxis]
        colors = in_colors(maps[..., 0], 0, max(maps.max(), 1e-6))
        return {"maps": parts.pictures_of(colors, numbers, notes=[f"{shares[number]:+.2f}" for number in numbers]),
                "speakers": parts.small(f"Maps of {layer}: the first {count} speak most for a {explained}, the others "
                                        "against it; below, what each adds to the logit.")}

    def _sentence(self, settings, answer, reads, before, after):
        towards = int(settings.towards)
        told = f"read as {answer} ({parts.percent(before[answer])})"
        if settings.radius == 0:
            return f"{told}; nothing may be changed"
        end = f"a {towards} has {parts.percent(after[towards])} with a change of {settings.radius:g}"
        if reads == towards != answer:
            return f"{told}; {end}: it has changed its mind"
        return f"{told}; {end}" + ("" if answer == towards else ": not enough to change its mind")


def _signed(images):
    """The PNG file of one image with a sign."""
    return parts.large(_in_red_and_blue(images), EDGE)


def _in_red_and_blue(images):
    """One image with a sign as colors `(height, width, 3)`: its channels added up, blue below zero and red above."""
    values = images[0].sum(axis=-1)
    top = max(np.percentile(np.abs(values), 99.7), 1e-9)
    return in_colors(values, -top, top, SIGNED)


def save_digit(made):
    """Write digit, attribution, changed digit and change beside one another; return the sentence that says so."""
    signed = [_in_red_and_blue(values) for values in (made.heat, made.changed - made.digit)]
    plain = [np.broadcast_to(to_display(image)[0], signed[0].shape) for image in (made.digit, made.changed)]
    picture = np.concatenate([plain[0], signed[0], plain[1], signed[1]], axis=1).repeat(8, axis=0).repeat(8, axis=1)
    return parts.saved("digit_lab", ".png", lambda path: save_picture(path, picture))
