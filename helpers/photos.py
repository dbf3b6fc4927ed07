"""Photographs in, pictures and films out. Knows nothing of digits, models or what is dreamt.

A photo is `(height, width, 3)` or `(height, width, 1)` in pixel space, 0..1. No file is ever overwritten.
"""

import contextlib
import functools
import io
import numbers
import os
import warnings
from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image, ImageOps, UnidentifiedImageError

SMALLEST_SIZE, LARGEST_SIZE = 28, 4096  # pixels along an edge of what load_photo returns

LARGEST_PHOTO = 150_000_000  # pixels in a file; decoding takes up to 8 bytes for each



def load_photo(source=None, size=560):
    """Return the middle square of a photograph as float32 `(size, size, 3)` in pixel space.

    `source` is a path, the content of a file (as an upload gives it), a file opened for reading bytes, or
    None for the flower that comes with scikit-learn. The photo is turned upright as its EXIF note says, what
    is transparent becomes white, and an animation gives its first frame. Anything but a whole picture of
    at most 150 million pixels is a ValueError, a missing file a FileNotFoundError. Introduced in notebook 06.
    """
    if not isinstance(size, numbers.Integral) or not SMALLEST_SIZE <= size <= LARGEST_SIZE:
        raise ValueError(f"size must be a whole number from {SMALLEST_SIZE} to {LARGEST_SIZE}, not {size!r}")
    if source is None:
        return _middle_square(Image.fromarray(sklearn.datasets.load_sample_image("flower.jpg")), int(size))
    with _opened(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about large photos and odd EXIF notes that it reads well
        return _read_photo(file, functools.partial(_middle_square, size=int(size)), name=name_of(source))


def load_whole_photo(source, longest):
    """Return a whole photograph, shrunk where needed, `(height, width, 3)` with edges of at most `longest` pixels.

    Sources and errors are those of `load_photo`. The picture of a page is read this way (`ink.load_digit`).
    """
    with _opened(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _read_photo(file, functools.partial(_whole, size=longest), name=name_of(source))


def name_of(source):
    """Return how a sentence names a source of `load_photo`: its path in quotes, or what kind of thing it is."""
    is_path = isinstance(source, (str, os.PathLike))
    return repr(os.fspath(source)) if is_path else f"the given {type(source).__name__}"


def save_picture(path, photo):
    """Write a photo `(height, width, 3)` or `(height, width, 1)` in pixel space as a new PNG file.

    Nothing is ever overwritten: an existing file is a FileExistsError, a missing folder a FileNotFoundError; an
    unsuitable name or photo is a ValueError, and then no file is made. Introduced in notebook 06.
    """
    picture, file = _picture(photo), io.BytesIO()
    picture.save(file, "PNG", optimize=True)
    _write_new(path, ".png", file.getvalue())


def png_bytes(picture):
    """Return a picture `(height, width, 1, 3 or 4)` in pixel space as the content of a PNG file, made quickly.

    A fourth channel is opacity. Values outside 0..1 are clipped. This is what `ipywidgets.Image` shows.
    """
    levels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def save_film(path, photos, seconds_each=0.5):
    """Write photos of equal size as a new animated GIF: an endless film, each shown for `seconds_each` (0.02 to 60).

    All frames share one palette of 256 colors, which keeps the file small and its colors still; halve the photos
    where it is too large. Errors are those of `save_picture`. Introduced in notebook 06.
    """
    if not 0.02 <= seconds_each <= 60:
        raise ValueError(f"seconds_each {seconds_each!r} is out of range; use a number from 0.02 to 60")
    photos = list(photos)
    shapes = {np.shape(photo) for photo in photos}
    if len(shapes) != 1:
        raise ValueError(f"a film needs photos of one size, these have {sorted(shapes) or 'none'}")
    frames = _with_one_palette([_picture(photo) for photo in photos])
    file = io.BytesIO()
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=round(1000 * seconds_each), loop=0)
    _write_new(path, ".gif", file.getvalue())


def _opened(source):
    """Return `source` as a file of bytes, in a context that closes what was opened here and nothing else."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        return io.BytesIO(bytes(source))
    if hasattr(source, "read") and not isinstance(source, io.TextIOBase):
        return contextlib.nullcontext(source)
    if not isinstance(source, (str, os.PathLike)):
        raise ValueError(f"{name_of(source)} is no photo; give a path, bytes, a file opened for bytes, or None")
    path = Path(source).expanduser()
    if path.is_dir():
        raise ValueError(f"{name_of(source)} is a folder; give the path of one photo in it")
    if not path.exists():
        raise FileNotFoundError(f"{name_of(source)} not found; give the path of a photo, or None for a flower")
    return open(path, "rb")


def _read_photo(file, pixels, name):
    """Return the `pixels` of the picture in an open file; refuse what is no picture, or no sane one."""
    try:
        with Image.open(file) as photo:
            if photo.width * photo.height > LARGEST_PHOTO:
                raise Image.DecompressionBombError
            return pixels(photo)
    except UnidentifiedImageError:
        raise ValueError(f"{name} holds no picture; give a JPEG, PNG, WebP or GIF file") from None
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has more than {LARGEST_PHOTO:,} pixels; make it smaller first") from None
    except Exception as error:  # Pillow raises nearly anything at a damaged file
        raise ValueError(f"{name} is damaged or cut off ({error}); save or fetch it again") from error


def _middle_square(photo, size):
    """Return the middle square of a Pillow image, upright and on white, as `(size, size, 3)` in 0..1."""
    return _upright(photo, size, lambda plain: ImageOps.fit(plain, (size, size), Image.Resampling.LANCZOS))


def _whole(photo, size):
    """Return a Pillow image, upright and on white, `(height, width, 3)` in 0..1 with edges of at most `size`."""

    def shrunk(plain):
        fits = max(plain.size) <= size
        return plain if fits else ImageOps.contain(plain, (size, size), Image.Resampling.LANCZOS)

    return _upright(photo, size, shrunk)


def _upright(photo, size, resized):
    """Return a Pillow image, as `resized` makes it, upright and on white, `(height, width, 3)` in 0..1."""
    photo.draft(None, (2 * size, 2 * size))  # a large JPEG is decoded at 1/2, 1/4 or 1/8
    photo.load()  # only now an older Pillow knows the size of a TIFF that is turned
    deep = photo.mode.startswith("I")  # 16 bits of gray
    mode = "F" if deep else "RGBA" if photo.has_transparency_data else "RGB"
    picture = resized(photo if photo.mode == mode else photo.convert(mode))
    with contextlib.suppress(Exception):  # an unreadable EXIF note costs the rotation, not the photo
        picture = ImageOps.exif_transpose(picture)
    values = np.asarray(picture, np.float32) / (65535 if deep else 255)
    if deep:
        values = np.clip(values, 0, 1)[..., np.newaxis].repeat(3, axis=-1)
    opacity = values[..., 3:] if mode == "RGBA" else 1.0
    return values[..., :3] * opacity + (1 - opacity)


def _picture(photo):
    """A photo in pixel space as a Pillow image of 8 bits."""
    photo = np.asarray(photo)
    if photo.ndim != 3 or photo.shape[2] not in (1, 3) or 0 in photo.shape:
        raise ValueError(f"the photo has shape {photo.shape}; it must be (height, width, 3) or (height, width, 1)")
    if not np.isfinite(photo).all() or photo.min() < 0 or photo.max() > 1:
        raise ValueError("the photo has values outside 0..1; images.to_display or np.clip bring it there")
    return Image.fromarray(np.round(255 * photo).astype(np.uint8).squeeze(2 if photo.shape[2] == 1 else ()))


def _with_one_palette(pictures):
    """The pictures in the 256 colors that serve all of them best."""
    every = Image.fromarray(np.concatenate([np.asarray(picture.convert("RGB"))[::2, ::2] for picture in pictures]))
    palette = every.quantize(256, method=Image.Quantize.MEDIANCUT)
    return [picture.convert("RGB").quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _write_new(path, ending, content):
    """Write a file that does not exist yet, into a folder that does."""
    path = Path(path).expanduser()
    if path.suffix.lower() != ending:
        raise ValueError(f"{path.name!r} must end in {ending}")
    try:
        with open(path, "xb") as file:
            file.write(content)
    except FileExistsError:
        raise FileExistsError(f"{path} exists already; delete it first, or give another name") from None
    except FileNotFoundError:
        raise FileNotFoundError(f"the folder {path.parent} does not exist; make it first") from None
