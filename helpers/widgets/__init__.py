"""Explorers: each function returns one ipywidget that answers while you drag. One line in a notebook is enough.

kernel_lab(model)             paint a kernel and slide it over a digit (notebook 01)
activation_explorer(model)    what each map makes of a digit, yours included (notebook 03)
oip_lab(model)                one map's OIP, live (notebook 04)
zoo_browser(model, layer)     all OIPs of a layer, to open, sort and filter (notebook 05)
latent_lab(model)             walk through an autoencoder's latent space (notebook 09)
dream_lab(model)              carve maps into a photograph (notebook 06)
digit_lab(model)              what is read in a digit, why, and what would change it (notebook 08)
style_lab(model)              paint a photograph in the style of a painting (notebook 10)

`explorer` is the protocol they share, `parts` (controls, pictures, sheets), `drawing` (a digit of the reader's own) and
`python` (lines that are run and shown) what they are built of, `worker` makes what was asked for last. A model must
stay as it is while an explorer of it is open; after training it on, run the cell again. A new one is written so:

    def shadow_lab(model=None, **settings):
        model = parts.checked_model(model)                          # None: the shipped CNN
        run = Runner(model)                                         # runs lines, keeps what has not changed
        controls = {**parts.layer_and_map(model, index=18), "seed": parts.seed(),
                    "steps": parts.whole("epochs (steps)", "How many steps are climbed.", value=45, min=1, max=600)}
        shown = {"oip": parts.Picture("the pattern", "60%"), "strip": parts.Sheet(name="step"), "table": parts.HTML()}
        save = parts.button("save PNG", "download", "Write the picture into the folder of the notebook.")

        def answer(settings):                                       # in the worker's thread; a Stop may interrupt it
            if settings.steps == 13:
                raise Refusal("13 steps bring bad luck; take another number")     # one sentence, no traceback
            with refusals():                                        # a ValueError in here is the reader's to mend
                photo = load_photo(...)
            lines = [f"features = pre_activation_extractor(model, {settings.layer!r})", ...,      # imports are found
                     "climbing = climb(objective, start, step_sizes)"]
            for step, images, values in run(lines)["climbing"]:     # what is run is what is shown below
                yield {"oip": parts.large(contrast(images)[0]), "status": f"step {step}", "progress": step / 45}
            yield {"oip": (parts.large(...), "caption"), "strip": parts.pictures_of(...), "status": "done",
                   "progress": 1, "made": (settings, images), "python": [*lines, "image_grid(...)"]}

        explorer = Explorer(controls, shown, answer, "shadow_lab(model)", model, settings,
                            presets={"as it opens": {}, "in haste": {"steps": 3}}, more=["seed"], buttons=[save])
        explorer.saves(save, lambda made: "saved as ...")           # returns the sentence that says so
        return explorer

`drawing.Digits(images, labels)` is a control whose value is a digit chosen, drawn or photographed, and
`drawing.Upload(...)` one for a file; both say what Python makes of it. The tests in tests/test_explorers.py and
tests/test_browser.py run over all explorers: add the new one to tests/explorers.py.
"""

from helpers.widgets.activation_explorer import activation_explorer
from helpers.widgets.digit_lab import digit_lab
from helpers.widgets.dream_lab import dream_lab
from helpers.widgets.kernel_lab import kernel_lab
from helpers.widgets.latent_lab import latent_lab
from helpers.widgets.oip_lab import oip_lab
from helpers.widgets.parts.lines import uploads
from helpers.widgets.style_lab import style_lab
from helpers.widgets.zoo_browser import zoo_browser

__all__ = ["activation_explorer", "digit_lab", "dream_lab", "kernel_lab", "latent_lab", "oip_lab", "style_lab",
           "uploads", "zoo_browser"]
