"""Photographs in, pictures and films out. Knows nothing of digits, models or what is dreamt.

A photo is `(height, width, 3)` or `(height, width, 1)` in pixel space, 0..1. No file is ever overwritten, and none is
left half written (see `files`).
"""

import contextlib
import functools
import io
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import sklearn.datasets
from PIL import Image, ImageOps, UnidentifiedImageError

from helpers.base import checks, files

SMALLEST_SIZE, LARGEST_SIZE = 28, 4096  # pixels along an edge of what load_photo returns
LARGEST_PHOTO = 150_000_000  # pixels in a file; decoding takes up to 8 bytes for each
SAMPLES = {"flower": "flower.jpg", "temple": "china.jpg"}  # photographs that come with scikit-learn
RATE = 25  # pictures per second in an MP4, whose players dislike fewer


def load_photo(source=None, size=560):
    """Return the middle square of a photograph as float32 `(size, size, 3)` in pixel space.

    `source` is a path, the content of a file (as an upload gives it), a file opened for reading bytes, or
    None for the flower of `sample_photo`. The photo is turned upright as its EXIF note says, what is transparent
    becomes white, and an animation gives its first frame. Files of 16 or 32 bits and of fractions are scaled to 0..1.
    Anything but a whole picture of at most 150 million pixels is a ValueError, a missing file a FileNotFoundError.
    Introduced in notebook 06.
    """
    if source is None:
        return sample_photo("flower", size)
    size = checks.whole(size, "size", SMALLEST_SIZE, LARGEST_SIZE)
    with _opened(source) as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about large photos and odd EXIF notes that it reads well
        return _read_photo(file, functools.partial(_middle_square, size=size), name=name_of(source))


def sample_photo(name="flower", size=560):
    """Return the middle square of a photograph that comes with scikit-learn, "flower" or "temple".

    In the form of `load_photo`. They were taken by vultilion (flower) and danielbuechele (temple) and may be used
    where their names are told (CC BY 2.0, from flickr.com). Introduced in notebook 06.
    """
    name, size = checks.choice(name, "name", SAMPLES), checks.whole(size, "size", SMALLEST_SIZE, LARGEST_SIZE)
    return _middle_square(Image.fromarray(sklearn.datasets.load_sample_image(SAMPLES[name])), size)


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
    path, file = files.place(path, (".png",), new=True), io.BytesIO()
    _picture(photo).save(file, "PNG", optimize=True)
    with files.written(path, new=True) as part:
        part.write_bytes(file.getvalue())


def png_bytes(picture):
    """Return a picture `(height, width, 1, 3 or 4)` in pixel space as the content of a PNG file, made quickly.

    A fourth channel is opacity. Values outside 0..1 are clipped. This is what `ipywidgets.Image` shows.
    """
    levels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(levels.squeeze(2) if levels.shape[2] == 1 else levels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def save_film(path, photos, seconds_each=0.5):
    """Write photos of equal size as a new film: an endless GIF, or an MP4, as the name of the file ends.

    Each photo is shown for `seconds_each` (0.02 to 60). A GIF has one palette of 256 colors for all its frames,
    which keeps it small and its colors still; an MP4 has all colors and is smaller yet, but needs the program ffmpeg.
    Errors are those of `save_picture`; without ffmpeg an MP4 is a ValueError. Introduced in notebook 06.
    """
    makers = {".gif": _gif, ".mp4": _mp4}
    path = files.place(path, tuple(makers), new=True)
    seconds_each = checks.number(seconds_each, "seconds_each", least=0.02, most=60)
    photos = list(photos if np.iterable(photos) else ())
    shapes = {np.shape(photo) for photo in photos}
    if len(shapes) != 1:
        raise ValueError(f"a film needs photos of one size, these have {sorted(shapes) or 'none'}")
    frames = [_picture(photo).convert("RGB") for photo in photos]
    content = makers[path.suffix.lower()](frames, seconds_each)
    with files.written(path, new=True) as part:
        part.write_bytes(content)


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
    if not path.is_file():  # opening a pipe would wait for somebody to write into it
        raise ValueError(f"{name_of(source)} is a pipe or a device; give the path of a file")
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
    except MemoryError:
        raise  # the file may be whole
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
    _clear_color_in_8_bits(photo)
    photo.load()  # only now an older Pillow knows the size of a TIFF that is turned
    deep = photo.mode.startswith(("I", "F"))
    mode = "F" if deep else "RGBA" if photo.has_transparency_data else "RGB"
    picture = resized(_of_many_bits(photo) if deep else photo if photo.mode == mode else photo.convert(mode))
    with contextlib.suppress(Exception):  # an unreadable EXIF note costs the rotation, not the photo
        picture = ImageOps.exif_transpose(picture)
    values = np.asarray(picture, np.float32)
    if deep:
        return np.clip(values, 0, 1)[..., np.newaxis].repeat(3, axis=-1)
    opacity = values[..., 3:] / 255 if mode == "RGBA" else 1.0
    return values[..., :3] / 255 * opacity + (1 - opacity)


def _of_many_bits(photo):
    """Return a Pillow image of 16 or 32 bits or of fractions as one of fractions 0..1, white where transparent.

    16 bits have a largest value. The others have none that is used, so the first of 1, 255, 65535 and 2 ** 31 - 1
    that no pixel exceeds stands for white.
    """
    values = np.asarray(photo, np.float32)
    largest = values[np.isfinite(values)].max()  # raises where no pixel has a value
    sixteen = photo.mode.startswith("I;16") or photo.format == "PNG"
    white = 65535 if sixteen else next((top for top in (1, 255, 65535, 2**31 - 1) if largest <= top), largest)
    shown = np.clip(np.nan_to_num(values / white), 0, 1)
    if isinstance(photo.info.get("transparency"), int):
        shown[values == photo.info["transparency"]] = 1
    plain = Image.fromarray(shown)
    plain.info = photo.info  # with the EXIF note
    return plain


def _clear_color_in_8_bits(photo):
    """Let the color that a PNG of 16 bits declares transparent be one of 8 bits, as Pillow reads the others."""
    clear = photo.info.get("transparency")
    if isinstance(clear, tuple) and photo.tile and ";16" in str(photo.tile[0]):
        photo.info["transparency"] = tuple(value >> 8 for value in clear)


def _picture(photo):
    """A photo in pixel space as a Pillow image of 8 bits."""
    photo = np.clip(checks.photo(photo), 0, 1)
    return Image.fromarray(np.round(255 * photo).astype(np.uint8).squeeze(2 if photo.shape[2] == 1 else ()))


def _gif(frames, seconds_each):
    """Return Pillow images as the content of a GIF, in the 256 colors that serve all of them best."""
    every = Image.fromarray(np.concatenate([np.asarray(frame)[::2, ::2] for frame in frames]))
    palette = every.quantize(256, method=Image.Quantize.MEDIANCUT)
    first, *others = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    file = io.BytesIO()
    first.save(file, "GIF", save_all=True, append_images=others, duration=round(1000 * seconds_each), loop=0)
    return file.getvalue()


def _mp4(frames, seconds_each):
    """Return Pillow images as the content of an MP4, made by ffmpeg; edges of odd length lose a pixel."""
    program = shutil.which("ffmpeg")
    if program is None:
        raise ValueError("an MP4 needs the program ffmpeg, which is not on this machine; install it (Debian: apt "
                         "install ffmpeg), or give a name that ends in .gif")
    width, height = frames[0].size
    source = f"-f rawvideo -pix_fmt rgb24 -s {width}x{height} -framerate {1 / seconds_each} -i -"
    even = f"-vf crop={width // 2 * 2}:{height // 2 * 2} -pix_fmt yuv420p -r {max(RATE, 1 / seconds_each)}"
    fragments = "-movflags frag_keyframe+empty_moov -f mp4 -"  # a file that can be written into a pipe
    command = [program, "-loglevel", "error", *f"{source} {even} {fragments}".split()]
    made = subprocess.run(command, input=b"".join(frame.tobytes() for frame in frames), capture_output=True)
    if made.returncode:
        said = made.stderr.decode(errors="replace").strip().splitlines()
        raise ValueError(f"ffmpeg made no film of it ({said[-1] if said else made.returncode}); give a name that ends "
                         "in .gif")
    return made.stdout
