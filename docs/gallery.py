"""The full-size pictures of the gallery, written into docs/gallery: `make gallery`, about ten minutes on two cores.

Names on the command line make only those: `python docs/gallery.py textures fall`. Notebook 12 shows each of the ways.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import soften
from helpers.base import files
from helpers.dreams import carve_octaves
from helpers.gallery.prints import INKS, coverage, printed
from helpers.gallery.textures import enlarged, falling, seam, seamless
from helpers.geometry import any_size, receptive_fields
from helpers.images import contrast, gray
from helpers.models import load_cnn
from helpers.objectives import Channels
from helpers.photos import sample_photo
from helpers.style.paintings import handwriting, load_painting

FOLDER = Path(__file__).parent / "gallery"
LAYER, SIZE = "Conv2D_3", 1120  # pixels along an edge of a full-size picture
STEP_SIZES = np.full(10, 0.05)  # of each octave
OCTAVES, SCALE = 8, 1.4
SEED = 3  # of the textures
TILES = {"ribbons": (7, 56, 80), "lattice": (88, 18, 3), "twigs": (99, 39, 114)}  # maps in red, yellow and blue


def dream(photo, index, strength=1.0):
    """Return the photo as one map dreams it at eight sizes."""
    objective = Channels(feature_extractor(any_size(load_cnn()), LAYER), [index])
    *_, result = carve_octaves(objective, photo, OCTAVES, SCALE, STEP_SIZES, strength, soften)
    return result


def changes(photo, indices):
    """Return what each of the maps alone adds to the photo's brightness, `(maps, height, width, 1)`."""
    plane = gray(photo[None])[0] if photo.shape[-1] == 3 else photo
    return np.stack([dream(0.25 + plane / 2, index) - (0.25 + plane / 2) for index in indices])


def textures(indices):
    """Return a seamless texture of 112 x 112 pixels for each of the maps."""
    cnn = load_cnn()
    field = next(field for field in receptive_fields(cnn) if field.layer == LAYER)
    made = seamless(pre_activation_extractor(any_size(cnn), LAYER), indices, field, seed=SEED)
    print(f"seams of {len(made)} textures, as shares of the steps inside: median {np.median(seam(made)):.2f}; "
          f"six pixels cut away: {np.median(seam(made[:, 6:, 6:])):.2f}")
    return made


def tile(name):
    """Return three seamless textures in three inks, one tile of 224 x 224 pixels."""
    return printed(coverage(enlarged(textures(TILES[name]))), INKS)


def save(name, picture, quality=92):
    """Write a picture as JPEG, without subsampled colors, or as a PNG of few colors where it is a print."""
    picture = Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8).squeeze())
    path = FOLDER / name
    with files.written(path) as part:
        if path.suffix == ".png":
            picture.quantize(160 if picture.mode == "RGB" else 16, dither=Image.Dither.NONE).save(part, optimize=True)
        else:
            picture.save(part, quality=quality, subsampling=0, optimize=True)
    print(f"{name}: {picture.size[0]} x {picture.size[1]} pixels, {path.stat().st_size:,} bytes", flush=True)


def sheet():
    """Write all 128 seamless textures, sixteen in a row."""
    tiles = contrast(textures(range(128)))[..., 0].reshape(8, 16, 112, 112)
    save("textures.png", tiles.transpose(0, 2, 1, 3).reshape(8 * 112, 16 * 112))


def fall():
    """Write an endless fall into one of the prints as a GIF."""
    frames = [Image.fromarray(np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8))
              for picture in falling(tile("ribbons"))]
    palette = frames[0].quantize(32)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    path = FOLDER / "fall.gif"
    with files.written(path) as part:
        first.save(part, save_all=True, append_images=others, duration=60, loop=0, optimize=True)
    print(f"{path.name}: {len(frames)} frames, {path.stat().st_size:,} bytes", flush=True)


PICTURES = {
    "flower": lambda: save("flower.jpg", dream(sample_photo("flower", SIZE), 7)),
    "temple": lambda: save("temple.jpg", dream(sample_photo("temple", SIZE), 88, 0.6)),
    "starry_night": lambda: save("starry_night.jpg", dream(load_painting("The Starry Night", SIZE), 88)),
    "shipwreck": lambda: save("shipwreck.jpg", dream(load_painting("The Shipwreck", SIZE), 56, 0.8)),
    "page": lambda: save("page.png", dream(handwriting(SIZE, scale=4), 7)),
    "ink": lambda: save("ink.png", printed(coverage(changes(sample_photo("temple", SIZE), [88])))),
    "three_inks": lambda: save("three_inks.png", printed(coverage(changes(sample_photo("flower", SIZE), (7, 88, 80))),
                                                         INKS)),
    "prints": lambda: save("prints.png", np.concatenate([np.tile(tile(name), (4, 2, 1)) for name in TILES], axis=1)),
    "textures": sheet,
    "fall": fall,
}

if __name__ == "__main__":
    for wanted in sys.argv[1:] or PICTURES:
        PICTURES[wanted]()
