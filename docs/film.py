"""The film at the head of the README: sixteen patterns grow out of noise. Run by `make gallery`."""

from pathlib import Path

import numpy as np
from PIL import Image

from helpers.activations import pre_activation_extractor
from helpers.ascent import climb, soften
from helpers.base import files
from helpers.figures import VIRIDIS
from helpers.fluctuations import fluctuations
from helpers.images import contrast
from helpers.models import load_cnn
from helpers.objectives import Channels

FILM = Path(__file__).parent / "patterns.gif"
MAPS = [0, 11, 18, 37, 39, 46, 57, 60, 68, 82, 88, 94, 97, 99, 111, 114]  # of Conv2D_3, hand-picked
COLUMNS, EDGE, GAP = 8, 84, 4  # pictures in a row; pixels of one, and between two
STEP_SIZES = np.geomspace(0.09, 0.04, 50)
SEED = 3


def sheet(images):
    """Return the images `(n, 28, 28, 1)` side by side in rows, in colors, as a Pillow picture."""
    frame = np.full((len(images) // COLUMNS * (EDGE + GAP) + GAP, COLUMNS * (EDGE + GAP) + GAP, 3), 255, np.uint8)
    for place, image in enumerate(contrast(images)[..., 0].repeat(EDGE // 28, axis=1).repeat(EDGE // 28, axis=2)):
        row, column = (GAP + part * (EDGE + GAP) for part in divmod(place, COLUMNS))
        frame[row : row + EDGE, column : column + EDGE] = VIRIDIS(image, bytes=True)[..., :3]
    return Image.fromarray(frame)


def frames():
    """Yield the sheet at every state of the climb."""
    objective = Channels(pre_activation_extractor(load_cnn(), "Conv2D_3"), MAPS, leak=0.05)
    start = fluctuations(len(MAPS), {3: 0.5, 7: 0.5}, SEED)
    for _, images, _ in climb(objective, start, STEP_SIZES, precondition=soften, reports=range):
        yield sheet(images)


if __name__ == "__main__":
    made = list(frames())
    palette = made[-1].quantize(128)
    first, *others = [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in made]
    times = [600, *[70] * (len(others) - 1), 2500]
    with files.written(FILM) as part:
        first.save(part, save_all=True, append_images=others, duration=times, loop=0, optimize=True)
    print(f"{FILM.name}: {len(made)} frames, {FILM.stat().st_size:,} bytes")
