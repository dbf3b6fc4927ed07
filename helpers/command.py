"""A dream without a notebook: `python -m helpers.command me.jpg --map 88 --octaves -o dream.png`.

Reads the command line, calls `dreams` and writes a picture; knows nothing of how a dream is made.
"""

import argparse
import sys

import numpy as np
from tqdm import tqdm

from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.ascent import identity, soften
from helpers.base import files
from helpers.dreams import carve, carve_octaves, carve_tiles, same_map
from helpers.geometry import any_size
from helpers.models import load_cnn
from helpers.objectives import Channels, WholeLayer
from helpers.photos import load_photo, save_film, save_picture

WHOLE_LAYER = -1  # in place of a map index


def main(arguments=None):
    """Make one dream as the command line says; return 0, or 2 after one sentence on what was wrong with it."""
    wish = _parser().parse_args(arguments)
    try:
        _dream(wish)
    except (ValueError, OSError) as error:
        print(f"dream: {error}", file=sys.stderr)
        return 2
    return 0


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m helpers.command",
        description="Carve what a map of the digit network wants to see into a photograph.",
        epilog="Ctrl-C keeps what was made so far. Notebooks 06 and 07 explain every option.",
    )
    parser.add_argument("photo", nargs="?", help="a JPEG, PNG, WebP or GIF file; without one, scikit-learn's flower")
    parser.add_argument("-o", "--output", default="dream.png", help="the PNG to write (default: %(default)s)")
    parser.add_argument("--film", help="a GIF or MP4 to write as well: the photo and every pass")
    parser.add_argument("--layer", default="Conv2D_3", help="the layer whose maps dream (default: %(default)s)")
    parser.add_argument("--map", type=int, nargs="+", default=[88], metavar="INDEX",
                        help="one map, or three: one for each color; -1 is the whole layer (default: 88)")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--octaves", action="store_true", help="dream at four sizes, coarsest first, and not at one")
    way.add_argument("--tiles", type=int, metavar="N", help="dream in N x N tiles that overlap")
    parser.add_argument("--passes", type=int, default=4, help="passes, or octaves (default: %(default)s)")
    parser.add_argument("--strength", type=float, default=1.0, help="multiplies the change (default: %(default)s)")
    parser.add_argument("--size", type=int, default=1120, help="pixels along an edge (default: %(default)s)")
    parser.add_argument("--softened", action="store_true", help="strokes in place of speckle")
    parser.add_argument("--model", help="a Keras CNN of your own, .keras or .h5; without one, the series'")
    return parser


def _dream(wish):
    """Write the dream that is wished for; what cannot be written is refused before anything is made."""
    for path, endings in ((wish.output, (".png",)), (wish.film, (".gif", ".mp4"))):
        if path is not None:
            files.place(path, endings, new=True)
    photo = load_photo(wish.photo, wish.size)
    made, passes = [photo], _passes(wish, photo)
    try:
        for picture in tqdm(passes, total=wish.passes, desc="dreaming", unit="pass"):
            made.append(picture)
    except KeyboardInterrupt:
        print(f"stopped after {len(made) - 1} of {wish.passes} passes", file=sys.stderr)
    save_picture(wish.output, made[-1])
    if wish.film:
        save_film(wish.film, made)


def _passes(wish, photo):
    """Return a generator of the photo after each pass; three maps dream one color each."""
    if len(wish.map) not in (1, 3):
        raise ValueError(f"--map got {len(wish.map)} maps; give one, or three: one for each color")
    model = load_cnn(wish.model)
    if len(wish.map) == 1:
        return _carved(wish, model, photo, wish.map[0])
    colors = [_carved(wish, model, photo[..., color, None], index) for color, index in enumerate(wish.map)]
    return (np.concatenate(planes, axis=-1) for planes in zip(*colors))


def _carved(wish, model, photo, index):
    """Return the generator of one dream, made with one map or, for -1, with the whole layer."""
    options = {"strength": wish.strength, "precondition": soften if wish.softened else identity}
    if wish.octaves:
        features = feature_extractor(any_size(model), wish.layer)
        return carve_octaves(_objective(features, index), photo, wish.passes, **options)
    features = pre_activation_extractor(model, wish.layer)
    if wish.tiles is None:
        return carve(_objective(features, index), photo, wish.passes, **options)
    if index == WHOLE_LAYER:
        raise ValueError("--tiles dream single maps; leave --tiles out for the whole layer")
    return carve_tiles(same_map(features, index), photo, wish.tiles, wish.passes, **options)


def _objective(features, index):
    return WholeLayer(features) if index == WHOLE_LAYER else Channels(features, [index])


if __name__ == "__main__":
    sys.exit(main())
