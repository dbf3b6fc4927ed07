"""What helpers.photos promises of photographs, pictures and films."""

import errno
import io
import os
import shutil
import struct
import subprocess
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageFile, ImageOps, ImageSequence

from helpers import photos
from helpers.photos import load_photo, save_film, save_picture


def picture(width=90, height=60):
    """A smooth picture whose four corners differ: red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], axis=-1).astype(np.uint8))


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def png(width, height, bits, color_type, rows):
    """The bytes of a PNG file, written by hand."""
    header = struct.pack(">2I5B", width, height, bits, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


RAMP = np.linspace(0, 1, 64 * 64).reshape(64, 64)
COLORS = np.asarray(picture(), np.float32)[:, 15:75] / 255  # its middle square
HALVES = np.repeat([[0.0, 1.0]], 20, axis=1).repeat(40, axis=0)
halves = Image.fromarray(np.uint8(255 * HALVES))
sixteen = np.uint16(65535 * RAMP)
colored = b"".join(b"\0" + struct.pack(">3H", 65535, 32768, 0) * 30 for _ in range(30))
frames = {"save_all": True, "append_images": [Image.new("RGB", (40, 40), "blue")], "duration": 100}
FORMATS = {  # what a file holds: (its content, what comes out of it, how exactly)
    "JPEG": (encoded(picture(), "JPEG", quality=95), COLORS, 0.02),
    "PNG": (encoded(picture(), "PNG"), COLORS, 0.005),
    "WebP": (encoded(picture(), "WEBP", lossless=True), COLORS, 0.005),
    "BMP": (encoded(picture(), "BMP"), COLORS, 0.005),
    "TIFF": (encoded(picture(), "TIFF"), COLORS, 0.005),
    "a tall one": (encoded(picture(60, 90)), np.asarray(picture(60, 90), np.float32)[15:75] / 255, 0.005),
    "1 bit": (encoded(halves.convert("1")), HALVES, 0.01),
    "gray": (encoded(halves), HALVES, 0.01),
    "palette": (encoded(halves.convert("P")), HALVES, 0.01),
    "CMYK": (encoded(Image.new("CMYK", (40, 40), (255, 0, 0, 0)), "JPEG"), np.full((40, 40, 3), (0, 1, 1)), 0.03),
    "16 bits, PNG": (encoded(Image.fromarray(sixteen)), RAMP, 2e-5),
    "16 bits, TIFF": (encoded(Image.fromarray(sixteen), "TIFF"), RAMP, 2e-5),
    "dark 16 bits": (encoded(Image.fromarray(sixteen // 999), "TIFF"), RAMP / 999, 2e-5),
    "16 bits of each color": (png(30, 30, 16, 2, colored), np.full((30, 30, 3), (1, 0.5, 0)), 0.01),
    "32 bits up to 255": (encoded(Image.fromarray(np.int32(255 * RAMP)), "TIFF"), RAMP, 0.005),
    "32 bits up to 65535": (encoded(Image.fromarray(np.int32(65_535 * RAMP)), "TIFF"), RAMP, 2e-5),
    "32 bits": (encoded(Image.fromarray(np.int32((2**31 - 1) * RAMP)), "TIFF"), RAMP, 2e-5),
    "fractions": (encoded(Image.fromarray(np.float32(RAMP)), "TIFF"), RAMP, 2e-5),
    "fractions up to 255": (encoded(Image.fromarray(np.float32(255 * RAMP)), "TIFF"), RAMP, 2e-5),
    **{f"the first frame of a {form}": (encoded(Image.new("RGB", (40, 40), "red"), form, **frames),
                                        np.full((40, 40, 3), (1, 0, 0)), 0.05) for form in ("GIF", "WEBP", "PNG")},
}  # fmt: skip


@pytest.mark.parametrize("name", FORMATS)
def test_a_photo_comes_out_whatever_the_format(name):
    content, expected, exactly = FORMATS[name]
    expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, axis=-1)
    photo = load_photo(content, size=len(expected))
    assert photo.shape == expected.shape and photo.dtype == np.float32 and photo.min() >= 0 and photo.max() <= 1
    inner = np.s_[:, [*range(15), *range(-15, 0)]] if len(expected) == 40 else np.s_[:]  # beside a sharp edge
    np.testing.assert_allclose(photo[inner], expected[inner], atol=exactly)


def test_the_built_in_photo_is_a_flower_in_pixel_space():
    photo = load_photo()
    assert photo.shape == (560, 560, 3) and photo.dtype == np.float32
    assert photo.min() >= 0 and photo.max() <= 1 and photo.std() > 0.1
    middle = sklearn.datasets.load_sample_image("flower.jpg")[:, 106:534] / 255  # 427 rows, 640 columns
    np.testing.assert_allclose(photo.mean(axis=(0, 1)), middle.mean(axis=(0, 1)), atol=0.005)


def test_path_bytes_and_file_give_the_same_photo(tmp_path):
    content = encoded(picture())
    path = tmp_path / "my photo.png"
    path.write_bytes(content)
    expected = load_photo(path, size=40)
    read_to_its_end = io.BytesIO(content)
    read_to_its_end.read()
    with open(path, "rb") as file:
        sources = (str(path), content, bytearray(content), memoryview(content), read_to_its_end, file)
        for source in sources:
            np.testing.assert_array_equal(load_photo(source, size=40), expected)
        assert not file.closed and not read_to_its_end.closed


def test_shrinking_averages_a_fine_pattern_instead_of_picking_from_it():
    stripes = np.tile(np.uint8([0, 255]), (400, 200))
    photo = load_photo(encoded(Image.fromarray(stripes)), size=50)
    np.testing.assert_allclose(photo[2:-2, 2:-2], 0.5, atol=0.02)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_what_is_transparent_becomes_white(mode):
    values = np.zeros((40, 40, 4), np.uint8)
    values[:, 20:, 3] = 255  # black, transparent on the left
    options = {}
    image = Image.fromarray(values)
    if mode == "P":
        image, options = Image.fromarray(values[..., 3] // 255).convert("P"), {"transparency": 0}
        image.putpalette([0, 200, 0, 0, 0, 0])
    elif mode in ("L", "RGB"):  # one color is declared transparent
        image = Image.fromarray(np.where(values[..., 3], 0, 77).astype(np.uint8)).convert(mode)
        options = {"transparency": 77 if mode == "L" else (77, 77, 77)}
    else:
        image = image.convert(mode)
    photo = load_photo(encoded(image, **options), size=40)
    np.testing.assert_allclose(photo[:, :16], 1, atol=0.01)
    np.testing.assert_allclose(photo[:, 24:], 0, atol=0.01)
    assert photo.min() >= 0 and photo.max() <= 1


def test_half_transparent_is_half_white_and_hidden_colors_do_not_bleed():
    values = np.zeros((80, 80, 4), np.uint8)
    values[:, :40] = (255, 0, 0, 128)
    values[:, 40:] = (0, 255, 0, 0)
    photo = load_photo(encoded(Image.fromarray(values)), size=30)
    np.testing.assert_allclose(photo[:, :12], np.broadcast_to([1, 0.5, 0.5], (30, 12, 3)), atol=0.01)
    np.testing.assert_allclose(photo[..., 1], photo[..., 2], atol=0.01)  # of the hidden green nothing is seen


def test_opacity_never_leaves_the_range():
    values, opacity = (grid.astype(np.uint8) for grid in np.indices((256, 256)))
    photo = load_photo(encoded(Image.fromarray(np.stack([values] * 3 + [opacity], axis=-1))), size=256)
    assert photo.min() >= 0 and photo.max() <= 1


STORED = {  # how an upright picture lies in a file with this EXIF orientation (its definition, TIFF 6.0)
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_photo_is_turned_upright(orientation, form):
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](np.asarray(picture()))))
    photo = load_photo(encoded(stored, form, exif=exif), size=60)
    np.testing.assert_allclose(photo, np.asarray(picture(), np.float32)[:, 15:75] / 255, atol=0.03)


def test_an_unreadable_note_on_rotation_does_not_cost_the_photo(recwarn):
    for note in (b"Exif\0\0garbage!!", b"Exif\0\0II*\0\xff\xff\xff\x7f"):
        assert load_photo(encoded(picture(), "JPEG", exif=note), size=30).std() > 0.1
    assert not recwarn.list


def test_a_jpeg_of_a_hundred_megapixels_is_read_small_and_without_a_warning(monkeypatch, recwarn):
    decoded, fit = [], ImageOps.fit
    monkeypatch.setattr(ImageOps, "fit", lambda image, *more: decoded.append(image.size) or fit(image, *more))
    photo = load_photo(encoded(Image.new("L", (11_600, 8_700), 255), "JPEG"), size=560)
    np.testing.assert_allclose(photo, 1)
    assert decoded == [(2900, 2175)]  # a quarter, still enough
    assert not recwarn.list


def test_a_large_jpeg_is_as_sharp_as_a_png():
    squares = Image.fromarray(np.kron(np.indices((60, 60)).sum(axis=0) % 2 * 255, np.ones((16, 16))).astype(np.uint8))
    photos = [load_photo(encoded(squares, form), size=240) for form in ("JPEG", "PNG")]
    np.testing.assert_allclose(*photos, atol=0.15)


@pytest.mark.parametrize("edge", [12_300, 20_000])  # below and above the edge where Pillow itself refuses
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(edge):
    with pytest.raises(ValueError, match="the given bytes has more than 150,000,000 pixels; make it smaller"):
        load_photo(png(edge, edge, 8, 2, b""))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"<svg></svg>"])
def test_what_is_no_picture_is_refused(content, tmp_path):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="x.jpg' holds no picture; give a JPEG, PNG, WebP or GIF file"):
        load_photo(tmp_path / "x.jpg")
    with pytest.raises(ValueError, match="the given BytesIO holds no picture"):
        load_photo(io.BytesIO(content))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_a_picture_that_is_cut_off_is_refused(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8))
    content = encoded(noise, form)
    for length in (len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(ValueError, match="^the given bytes (is damaged or cut off|holds no picture).*; "):
            load_photo(content[:length])


def test_a_missing_file_a_folder_and_other_things_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="lost.jpg' not found; give the path of a photo"):
        load_photo(tmp_path / "lost.jpg")
    with pytest.raises(ValueError, match=f"{tmp_path.name}' is a folder; give the path of one photo"):
        load_photo(str(tmp_path))
    for thing in (3, np.zeros((9, 9, 3)), {"content": b""}, io.StringIO("text")):
        with pytest.raises(ValueError, match=f"the given {type(thing).__name__} is no photo; give a path, bytes"):
            load_photo(thing)


@pytest.mark.parametrize("size", [27, 0, -560, 4097, 560.0, "560", None, True, (560, 560)])
def test_a_size_that_is_no_sensible_whole_number_is_refused(size):
    with pytest.raises(ValueError, match="size .* is out of range; use a whole number from 28 to 4,096"):
        load_photo(size=size)


def test_a_numpy_integer_is_a_size():
    assert load_photo(size=np.int64(28)).shape == (28, 28, 3)


def test_no_file_stays_open_and_no_setting_stays_changed(monkeypatch, tmp_path):
    opened, real_open = [], open

    def spy(*arguments, **options):
        opened.append(real_open(*arguments, **options))
        return opened[-1]

    (tmp_path / "whole.png").write_bytes(encoded(picture()))
    (tmp_path / "cut.png").write_bytes(encoded(picture())[:200])
    (tmp_path / "text.png").write_bytes(b"text")
    before = (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))
    monkeypatch.setattr("builtins.open", spy)
    for name in ("whole.png", "cut.png", "text.png"):
        try:
            load_photo(tmp_path / name, size=30)
        except ValueError:
            assert name != "whole.png"
    assert len(opened) == 3 and all(file.closed for file in opened)
    assert before == (Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES, list(warnings.filters))


def rose(channels=3, shade=0.0):
    photo = np.random.default_rng(5).random((40, 60, channels)).astype(np.float32)
    return np.clip(photo - shade, 0, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_a_saved_picture_is_the_photo_to_half_a_step_of_8_bits(tmp_path, channels):
    photo = rose(channels)
    save_picture(tmp_path / "rose.png", photo)
    read = np.asarray(Image.open(tmp_path / "rose.png"), np.float32).reshape(photo.shape) / 255
    np.testing.assert_allclose(read, photo, atol=0.5 / 255 + 1e-6)


def test_a_saved_film_shows_each_photo_in_turn_for_its_time(tmp_path):
    photos = [np.full((30, 50, 3), value, np.float32) for value in (0.0, 0.5, 1.0)]
    save_film(str(tmp_path / "film.gif"), (photo for photo in photos), seconds_each=0.3)  # as carve yields them
    with Image.open(tmp_path / "film.gif") as film:
        frames = [(np.asarray(frame.convert("RGB")).mean() / 255, frame.info["duration"])
                  for frame in ImageSequence.Iterator(film)]
        assert film.size == (50, 30) and film.info["loop"] == 0
    np.testing.assert_allclose(frames, [(0, 300), (0.5, 300), (1, 300)], atol=0.01)


@pytest.mark.parametrize("save, name, thing", [
    (save_picture, "rose.png", rose()),
    (save_film, "rose.gif", [rose(), rose(shade=0.2)]),
])  # fmt: skip
def test_saving_overwrites_nothing_and_makes_no_folder(tmp_path, save, name, thing):
    (tmp_path / name).write_text("precious")
    with pytest.raises(FileExistsError, match=f"{name} exists already; delete it first, or give another name"):
        save(tmp_path / name, thing)
    assert (tmp_path / name).read_text() == "precious"
    with pytest.raises(FileNotFoundError, match="the folder .*new does not exist; make it first"):
        save(tmp_path / "new" / name, thing)
    with pytest.raises(ValueError, match="must end in"):
        save(tmp_path / "rose.jpg", thing)
    assert not [path for path in tmp_path.glob("*") if path.is_dir()]


@pytest.mark.parametrize("photo, message", [
    (rose()[..., 0], "shape"), (rose() + 0.5, "has values from"), (rose() * np.nan, "holds NaN"),
    (rose()[:0], "has 0 x 60"),
])  # fmt: skip
def test_what_is_no_photo_leaves_no_file(tmp_path, photo, message):
    with pytest.raises(ValueError, match=message):
        save_picture(tmp_path / "rose.png", photo)
    with pytest.raises(ValueError, match=message):
        save_film(tmp_path / "rose.gif", [photo])
    assert not list(tmp_path.glob("rose*"))


@pytest.mark.parametrize("photos, seconds, message", [
    ([], 0.5, "one size"), ([rose(), rose()[1:]], 0.5, "one size"), ([rose()], 0, "seconds_each"),
    ([rose()], np.nan, "seconds_each"), ([rose()], 61, "seconds_each"),
])  # fmt: skip
def test_a_film_of_nothing_of_two_sizes_or_of_no_time_is_refused(tmp_path, photos, seconds, message):
    with pytest.raises(ValueError, match=message):
        save_film(tmp_path / "rose.gif", photos, seconds)


# ---------------------------------------------------------------- files of many bits, pipes, films, whole or not at all

def test_what_is_no_number_in_a_tiff_is_black_and_nothing_but_that_is_refused():
    values = np.float32(RAMP)
    values[:, :20] = np.nan
    assert load_photo(encoded(Image.fromarray(values), "TIFF"), size=64)[:, :16].max() == 0
    with pytest.raises(ValueError, match="damaged"):
        load_photo(encoded(Image.fromarray(np.full((40, 40), np.nan, np.float32)), "TIFF"))


@pytest.mark.parametrize("kind", ["gray", "color"])
def test_what_a_png_of_16_bits_declares_transparent_becomes_white(kind):
    channels, color_type = {"gray": (1, 0), "color": (3, 2)}[kind]
    rows = b"".join(b"\0" + struct.pack(">H", 300) * 15 * channels + struct.pack(">H", 9000) * 15 * channels
                    for _ in range(30))
    content = png(30, 30, 16, color_type, rows)
    at = content.index(b"IDAT") - 4
    clear = struct.pack(">H", 300) * channels
    chunk = struct.pack(">I", len(clear)) + b"tRNS" + clear + struct.pack(">I", zlib.crc32(b"tRNS" + clear))
    photo = load_photo(content[:at] + chunk + content[at:], size=30)
    np.testing.assert_allclose(photo[:, :13], 1, atol=0.01)
    np.testing.assert_allclose(photo[:, 17:], 9000 / 65535, atol=0.01)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_and_a_device_are_refused_and_nobody_waits(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "pipe.png", "/dev/zero"):
        with pytest.raises(ValueError, match="is a pipe or a device; give the path of a file"):
            load_photo(path)


def test_the_samples_differ_and_another_is_refused():
    assert np.abs(photos.sample_photo("temple", 60) - photos.sample_photo("flower", 60)).mean() > 0.1
    with pytest.raises(ValueError, match="name 'rose' is unknown; choose 'flower' or 'temple'"):
        photos.sample_photo("rose")


def without_space(path, content):
    Path.open(path, "wb").write(content[:10])
    raise OSError(errno.ENOSPC, "No space left on device")


def killed(path, content):
    Path.open(path, "wb").write(content[:10])
    raise KeyboardInterrupt


@pytest.mark.parametrize("save, name, thing", [
    (save_picture, "rose.png", rose()), (save_film, "rose.gif", [rose(), rose(shade=0.2)]),
])  # fmt: skip
@pytest.mark.parametrize("fault, error", [(without_space, OSError), (killed, KeyboardInterrupt)])
def test_a_file_is_written_whole_or_not_at_all(monkeypatch, tmp_path, save, name, thing, fault, error):
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fault)
        with pytest.raises(error) as told:
            save(tmp_path / name, thing)
    assert list(tmp_path.iterdir()) == []
    assert error is KeyboardInterrupt or "was not written: No space left on device; make room" in str(told.value)
    save(tmp_path / name, thing)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_file_that_appears_while_another_is_written_is_not_overwritten(monkeypatch, tmp_path):
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda path, content: (write(path, content),
                                                                    (tmp_path / "rose.png").write_text("precious")))
    with pytest.raises(FileExistsError, match="rose.png exists already"):
        save_picture(tmp_path / "rose.png", rose())
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not on this machine")
def test_an_mp4_shows_each_photo_for_its_time(tmp_path):
    shades = [np.full((30, 51, 3), value, np.float32) for value in (0.1, 0.5, 0.9)]
    save_film(tmp_path / "film.mp4", shades, seconds_each=0.4)
    shown = subprocess.run(["ffmpeg", "-loglevel", "error", "-i", tmp_path / "film.mp4", "-f", "rawvideo", "-pix_fmt",
                            "gray", "-"], capture_output=True, check=True)  # fmt: skip
    frames = np.frombuffer(shown.stdout, np.uint8).reshape(-1, 30, 50).mean(axis=(1, 2)) / 255
    assert abs(len(frames) / photos.RATE - 1.2) < 0.1
    np.testing.assert_allclose(frames[[2, len(frames) // 2, -3]], [0.1, 0.5, 0.9], atol=0.03)


def test_without_ffmpeg_an_mp4_is_refused_in_one_sentence_and_leaves_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="an MP4 needs the program ffmpeg, which is not on this machine; install it"):
        save_film(tmp_path / "film.mp4", [rose()])
    assert list(tmp_path.iterdir()) == []


def test_what_ffmpeg_cannot_make_is_told_in_its_words(monkeypatch, tmp_path):
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho no such codec >&2\nexit 1\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(ValueError, match=r"ffmpeg made no film of it \(no such codec\)"):
        save_film(tmp_path / "film.mp4", [rose()])
