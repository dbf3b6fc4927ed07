"""What helpers.data promises of digits and photographs. Offline: every network is cut, every cache empty."""

import io
import os
import socket
import struct
import time
import warnings
import zlib
from pathlib import Path

import keras
import numpy as np
import pytest
import sklearn.datasets
from PIL import Image, ImageFile, ImageOps, ImageSequence

from helpers import data

CANDIDATES = (os.environ.get("MNIST_NPZ"), data.LOCAL_MNIST, Path.home() / ".keras/datasets/mnist.npz")
REAL_MNIST = next((path for path in CANDIDATES if path and Path(path).is_file()), None)
needs_mnist = pytest.mark.skipif(REAL_MNIST is None, reason="MNIST is not here: name its file in MNIST_NPZ")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A machine without MNIST and without a network; returns the path of the empty Keras cache's file."""

    def refuse(*arguments, **options):
        raise OSError("no network")

    monkeypatch.delenv("MNIST_NPZ", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr(data, "LOCAL_MNIST", tmp_path / "data" / "mnist.npz")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(keras.datasets.mnist, "load_data", refuse)
    data._keras_or_stand_in.cache_clear()
    (tmp_path / "data").mkdir()
    (tmp_path / "keras" / "datasets").mkdir(parents=True)
    return tmp_path / "keras" / "datasets" / "mnist.npz"


@pytest.fixture(scope="session")
def arrays():
    """Arrays of the shape of MNIST's: image i is a slope whose direction depends on its label i % 10."""
    rows, columns = np.indices((28, 28))
    slopes = np.stack([(9 - k) * rows + k * columns for k in range(10)]).astype(np.uint8)
    return {
        "x_train": np.tile(slopes, (6000, 1, 1)),
        "y_train": np.tile(np.arange(10, dtype=np.uint8), 6000),
        "x_test": np.tile(slopes, (1000, 1, 1)),
        "y_test": np.tile(np.arange(10, dtype=np.uint8), 1000),
    }


@pytest.fixture(scope="session")
def whole(arrays, tmp_path_factory):
    path = tmp_path_factory.mktemp("mnist") / "whole.npz"
    np.savez(path, **arrays)
    return path


# Digits


def test_digits_are_standardized_images_with_labels(monkeypatch, whole):
    monkeypatch.setenv("MNIST_NPZ", str(whole))
    for split, count in (("train", 60_000), ("test", 10_000)):
        images, labels = data.load_digits(split)
        assert images.shape == (count, 28, 28, 1) and images.dtype == np.float32
        assert labels.shape == (count,) and labels.dtype == np.int64
        np.testing.assert_array_equal(labels, np.arange(count) % 10)
        np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-5)
        np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, atol=1e-4)
        assert np.ptp(images[9::10], axis=0).max() == 0  # the parts were joined in order: one slope for a label
        assert (np.diff(images[-1, :, :, 0], axis=1) > 0).all()
    assert data.digits_in_use() == "MNIST: 60,000 training and 10,000 test digits."


def test_an_unknown_split_is_refused():
    with pytest.raises(ValueError, match="'valid' is unknown; choose 'train' or 'test'"):
        data.load_digits("valid")


def test_changing_digits_does_not_change_the_next_ones():
    images, labels = data.load_digits("test")
    before = images.copy()
    images[:], labels[:] = 7, 7
    np.testing.assert_array_equal(data.load_digits("test")[0], before)
    assert set(data.load_digits("test")[1]) == set(range(10))


def test_the_named_file_comes_before_data_and_data_before_the_keras_cache(monkeypatch, nowhere, whole):
    named = nowhere.with_name("named.npz")
    for path in (nowhere, data.LOCAL_MNIST, named):
        path.symlink_to(whole)
    read = []
    monkeypatch.setattr(data, "_read_mnist", lambda path: read.append(path) or {"x_test": 0})
    monkeypatch.setenv("MNIST_NPZ", str(named))
    data.digits_in_use()
    monkeypatch.delenv("MNIST_NPZ")
    data.digits_in_use()
    data.LOCAL_MNIST.unlink()
    data.digits_in_use()
    assert [path.parent.name for path in read] == ["datasets", "data", "datasets"]
    assert read[0] == named and read[2] == nowhere


def test_a_named_file_that_is_missing_is_an_error_naming_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "lost.npz"))
    with pytest.raises(FileNotFoundError, match="lost.npz not found; correct or unset .* MNIST_NPZ"):
        data.load_digits("test")


@pytest.mark.parametrize("place", ["named", "data"])
@pytest.mark.parametrize("content", ["cut", "flipped", "empty", "page", "folder"])
def test_a_file_that_is_not_whole_is_refused_by_name(monkeypatch, tmp_path, whole, place, content):
    path = tmp_path / "my.npz" if place == "named" else data.LOCAL_MNIST
    original = whole.read_bytes() if content in ("cut", "flipped") else b""
    middle = len(original) // 2
    if content == "folder":
        path.mkdir()
    elif content == "flipped":
        path.write_bytes(original[:middle] + bytes([original[middle] ^ 255]) + original[middle + 1 :])
    else:
        path.write_bytes({"cut": original[:middle], "empty": b"", "page": b"<html>not found</html>"}[content])
    if place == "named":
        monkeypatch.setenv("MNIST_NPZ", str(path))
    with pytest.raises(ValueError, match=f"{path.name} is cut off or no npz file; replace it by"):
        data.load_digits("test")


@pytest.mark.parametrize(
    ("name", "wrong", "fault"),
    [
        ("x_test", None, "has no array x_test"),
        (
            "x_test",
            np.zeros((10_000, 8, 8), np.uint8),
            r"is uint8 \(10000, 8, 8\), not uint8 \(10000, 28, 28\)",
        ),
        ("x_test", np.zeros((10_000, 28, 28), np.float32), "is float32"),
        ("y_train", np.zeros(100, np.uint8), r"not uint8 \(60000,\)"),
        ("y_train", np.full(60_000, 10, np.uint8), "y_train of .* goes up to 10, MNIST's to 9"),
    ],
)
def test_a_file_with_other_arrays_than_mnist_is_refused(monkeypatch, tmp_path, arrays, name, wrong, fault):
    changed = {key: array for key, array in arrays.items() if key != name}
    np.savez(tmp_path / "other.npz", **changed, **({} if wrong is None else {name: wrong}))
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "other.npz"))
    with pytest.raises(ValueError, match=fault) as refusal:
        data.load_digits("test")
    assert "other.npz" in str(refusal.value) and "replace it by" in str(refusal.value)


# Digits without MNIST


def test_without_mnist_and_network_scikit_learns_digits_stand_in(capsys, recwarn):
    images, labels = data.load_digits("train")
    test_images, test_labels = data.load_digits("test")
    assert images.shape[1:] == (28, 28, 1) and images.dtype == np.float32 and labels.dtype == np.int64
    assert len(images) + len(test_images) == 1797
    share = np.bincount(test_labels) / (np.bincount(labels) + np.bincount(test_labels))
    np.testing.assert_allclose(share, 0.2, atol=0.01)  # of each class
    both = np.concatenate([images, test_images]).reshape(1797, -1)
    assert len(np.unique(both, axis=0)) == 1797  # no digit in both
    assert not any(capsys.readouterr()) and not recwarn.list


def test_the_sentence_names_the_stand_in_and_the_remedy():
    sentence = data.digits_in_use()
    assert sentence.startswith("MNIST is not on this machine and cannot be downloaded (put mnist.npz into")
    assert "1,797 real handwritten digits of scikit-learn" in sentence


def test_stand_ins_are_as_large_and_as_centered_as_mnist():
    images, _ = data.load_digits("train")
    ink = images[..., 0] - images.min(axis=(1, 2, 3))[:, None, None]
    rows, columns = np.indices((28, 28))
    for position in (rows, columns):
        centers = (ink * position).sum(axis=(1, 2)) / ink.sum(axis=(1, 2))
        assert np.abs(centers - 14).max() <= 0.51  # a whole number of pixels cannot do better
    used = ink > 0
    heights, widths = np.ptp(_extent(used, 2), axis=1) + 1, np.ptp(_extent(used, 1), axis=1) + 1
    longest = np.maximum(heights, widths)
    assert longest.max() == 20 and np.median(longest) == 20


def _extent(used, axis):
    lines = used.any(axis=axis)
    return np.stack([lines.argmax(axis=1), lines.shape[1] - 1 - lines[:, ::-1].argmax(axis=1)], axis=1)


def test_stand_ins_keep_their_labels():
    images, labels = data.load_digits("train")
    test_images, test_labels = data.load_digits("test")
    likeness = test_images.reshape(-1, 784) @ images.reshape(-1, 784).T  # (test, train)
    assert (labels[likeness.argmax(axis=1)] == test_labels).mean() > 0.95


def test_the_small_digits_are_those_that_stand_in():
    images, labels = data.load_small_digits()
    assert images.shape == (1797, 28, 28, 1) and images.dtype == np.float32 and labels.dtype == np.int64
    stand_ins = [data.load_digits(split) for split in ("train", "test")]
    np.testing.assert_allclose(images, np.concatenate([split[0] for split in stand_ins]), atol=1e-5)
    np.testing.assert_array_equal(labels, np.concatenate([split[1] for split in stand_ins]))


def test_the_stand_in_is_made_once(monkeypatch):
    made = []
    load = sklearn.datasets.load_digits
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: made.append(1) or load())
    data.load_digits("train"), data.load_digits("test"), data.digits_in_use()
    assert len(made) == 1


def test_a_network_that_swallows_everything_costs_seconds_at_most(monkeypatch):
    monkeypatch.setattr(data, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(10))
    start = time.perf_counter()
    assert "stand in" in data.digits_in_use()
    assert time.perf_counter() - start < 3


# Downloads


@pytest.fixture
def download(monkeypatch, nowhere, whole):
    """A network: download(content, result) makes Keras write `content`, then return or raise `result`."""
    monkeypatch.setattr(data, "_answers", lambda address: True)

    def prepare(content, result):
        def load_data():
            nowhere.write_bytes(content)
            assert socket.getdefaulttimeout() == data.STALL_SECONDS
            if isinstance(result, BaseException):
                raise result
            return (result["x_train"], result["y_train"]), (result["x_test"], result["y_test"])

        monkeypatch.setattr(keras.datasets.mnist, "load_data", load_data)

    return prepare


def test_a_download_gives_mnist(download, arrays, nowhere):
    download(b"as good as whole", arrays)
    assert data.digits_in_use() == data.MNIST
    np.testing.assert_array_equal(data.load_digits("test")[1], arrays["y_test"])
    assert nowhere.exists()


@pytest.mark.parametrize("failure", [Exception("URL fetch failure"), TimeoutError(), ValueError("hash"), "wrong"])
def test_a_failed_download_leaves_nothing_and_the_stand_in_takes_over(download, arrays, nowhere, failure):
    download(b"half of it", {**arrays, "x_test": np.zeros(3)} if failure == "wrong" else failure)
    assert "cannot be downloaded" in data.digits_in_use()
    assert len(data.load_digits("test")[0]) == 360
    assert not nowhere.exists()
    assert socket.getdefaulttimeout() is None


def test_an_interrupted_download_leaves_nothing_and_stays_an_interrupt(download, nowhere):
    download(b"half of it", KeyboardInterrupt())
    with pytest.raises(KeyboardInterrupt):
        data.load_digits("test")
    assert not nowhere.exists() and socket.getdefaulttimeout() is None


def test_a_broken_file_in_the_keras_cache_is_replaced_where_there_is_a_network(download, arrays, nowhere, whole):
    nowhere.write_bytes(whole.read_bytes()[:1000])
    download(whole.read_bytes(), arrays)
    assert data.digits_in_use() == data.MNIST
    assert nowhere.read_bytes() == whole.read_bytes()


def test_a_broken_file_in_the_keras_cache_is_named_and_kept_where_there_is_no_network(nowhere, whole):
    nowhere.write_bytes(whole.read_bytes()[:1000])
    sentence = data.digits_in_use()
    assert sentence.startswith("The mnist.npz in the Keras cache is broken and cannot be downloaded")
    assert len(data.load_digits("test")[0]) == 360
    assert nowhere.exists()


@needs_mnist
def test_real_mnist_has_the_counts_its_authors_give_and_the_stand_in_resembles_it(monkeypatch):
    stand_in, stand_in_labels = data.load_digits("train")
    monkeypatch.setenv("MNIST_NPZ", str(REAL_MNIST))
    _, labels = data.load_digits("train")
    counts = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    np.testing.assert_array_equal(np.bincount(labels), counts)
    images, labels = data.load_digits("test")
    counts = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    np.testing.assert_array_equal(np.bincount(labels), counts)
    likeness = stand_in.reshape(-1, 784) @ images.reshape(-1, 784).T  # (stand-ins, test digits)
    assert (labels[likeness.argmax(axis=1)] == stand_in_labels).mean() > 0.7
    for brightness in (0.5, 1.0, 1.5, 2.0):  # in deviations: as much of it is as bright
        assert abs((stand_in > brightness).mean() - (images > brightness).mean()) < 0.02


# Photographs


def picture(width=90, height=60):
    """A smooth picture whose four corners differ: red grows to the right, green downwards."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, np.full_like(x, 128)], axis=-1).astype(np.uint8))


def encoded(image, form="PNG", **options):
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def test_the_built_in_photo_is_a_flower_in_pixel_space():
    photo = data.load_photo()
    assert photo.shape == (560, 560, 3) and photo.dtype == np.float32
    assert photo.min() >= 0 and photo.max() <= 1 and photo.std() > 0.1
    middle = sklearn.datasets.load_sample_image("flower.jpg")[:, 106:534] / 255  # 427 rows, 640 columns
    np.testing.assert_allclose(photo.mean(axis=(0, 1)), middle.mean(axis=(0, 1)), atol=0.005)


@pytest.mark.parametrize(
    ("form", "options"),
    [("JPEG", {"quality": 95}), ("PNG", {}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {})],
)
def test_the_middle_square_comes_out_whatever_the_format(form, options):
    photo = data.load_photo(encoded(picture(), form, **options), size=60)
    assert photo.shape == (60, 60, 3) and photo.dtype == np.float32
    expected = np.asarray(picture(), np.float32)[:, 15:75] / 255
    np.testing.assert_allclose(photo, expected, atol=0.02)


def test_a_tall_photo_is_cut_at_top_and_bottom():
    photo = data.load_photo(encoded(picture(60, 90)), size=60)
    np.testing.assert_allclose(photo, np.asarray(picture(60, 90), np.float32)[15:75] / 255, atol=0.005)


def test_path_bytes_and_file_give_the_same_photo(tmp_path):
    content = encoded(picture())
    path = tmp_path / "my photo.png"
    path.write_bytes(content)
    expected = data.load_photo(path, size=40)
    read_to_its_end = io.BytesIO(content)
    read_to_its_end.read()
    with open(path, "rb") as file:
        sources = (str(path), content, bytearray(content), memoryview(content), read_to_its_end, file)
        for source in sources:
            np.testing.assert_array_equal(data.load_photo(source, size=40), expected)
        assert not file.closed and not read_to_its_end.closed


def test_shrinking_averages_a_fine_pattern_instead_of_picking_from_it():
    stripes = np.tile(np.uint8([0, 255]), (400, 200))
    photo = data.load_photo(encoded(Image.fromarray(stripes)), size=50)
    np.testing.assert_allclose(photo[2:-2, 2:-2], 0.5, atol=0.02)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_and_not_clipped(form):
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    photo = data.load_photo(encoded(Image.fromarray(ramp), form), size=64)
    np.testing.assert_allclose(photo, np.repeat(ramp[..., None] / 65535, 3, axis=-1), atol=1e-6)
    assert data.load_photo(encoded(Image.fromarray(ramp), form), size=200).max() <= 1


def test_sixteen_bits_of_each_color_are_scaled():
    rows = b"".join(b"\0" + struct.pack(">3H", 65535, 32768, 0) * 30 for _ in range(30))
    photo = data.load_photo(png(30, 30, 16, 2, rows), size=30)
    np.testing.assert_allclose(photo[15, 15], [1, 0.5, 0], atol=0.01)


def png(width, height, bits, color_type, rows):
    """The bytes of a PNG file, written by hand."""
    header = struct.pack(">2I5B", width, height, bits, color_type, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    parts = (struct.pack(">I", len(c)) + k + c + struct.pack(">I", zlib.crc32(k + c)) for k, c in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


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
    photo = data.load_photo(encoded(image, **options), size=40)
    np.testing.assert_allclose(photo[:, :16], 1, atol=0.01)
    np.testing.assert_allclose(photo[:, 24:], 0, atol=0.01)
    assert photo.min() >= 0 and photo.max() <= 1


def test_half_transparent_is_half_white_and_hidden_colors_do_not_bleed():
    values = np.zeros((80, 80, 4), np.uint8)
    values[:, :40] = (255, 0, 0, 128)
    values[:, 40:] = (0, 255, 0, 0)
    photo = data.load_photo(encoded(Image.fromarray(values)), size=30)
    np.testing.assert_allclose(photo[:, :12], np.broadcast_to([1, 0.5, 0.5], (30, 12, 3)), atol=0.01)
    np.testing.assert_allclose(photo[..., 1], photo[..., 2], atol=0.01)  # of the hidden green nothing is seen


def test_opacity_never_leaves_the_range():
    values, opacity = (grid.astype(np.uint8) for grid in np.indices((256, 256)))
    photo = data.load_photo(encoded(Image.fromarray(np.stack([values] * 3 + [opacity], axis=-1))), size=256)
    assert photo.min() >= 0 and photo.max() <= 1


def test_one_bit_palette_gray_and_cmyk_are_photos_too():
    half = Image.fromarray(np.repeat(np.uint8([[0, 255]]), 20, axis=1).repeat(40, axis=0))
    for image in (half.convert("1"), half, half.convert("P")):
        photo = data.load_photo(encoded(image), size=40)
        np.testing.assert_allclose(photo[:, [5, 35]].mean(axis=(0, 2)), [0, 1], atol=0.01)
    cyan = Image.new("CMYK", (40, 40), (255, 0, 0, 0))
    np.testing.assert_allclose(data.load_photo(encoded(cyan, "JPEG"), size=40)[20, 20], [0, 1, 1], atol=0.03)


def test_an_animation_gives_its_first_frame():
    frames = [Image.new("RGB", (40, 40), color) for color in ("red", "lime", "blue")]
    for form in ("GIF", "WEBP", "PNG"):
        content = encoded(frames[0], form, save_all=True, append_images=frames[1:], duration=100)
        assert len(list(ImageSequence.Iterator(Image.open(io.BytesIO(content))))) == 3
        np.testing.assert_allclose(data.load_photo(content, size=30)[15, 15], [1, 0, 0], atol=0.05)


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
    photo = data.load_photo(encoded(stored, form, exif=exif), size=60)
    np.testing.assert_allclose(photo, np.asarray(picture(), np.float32)[:, 15:75] / 255, atol=0.03)


def test_an_unreadable_note_on_rotation_does_not_cost_the_photo(recwarn):
    for note in (b"Exif\0\0garbage!!", b"Exif\0\0II*\0\xff\xff\xff\x7f"):
        assert data.load_photo(encoded(picture(), "JPEG", exif=note), size=30).std() > 0.1
    assert not recwarn.list


def test_a_jpeg_of_a_hundred_megapixels_is_read_small_and_without_a_warning(monkeypatch, recwarn):
    decoded, fit = [], ImageOps.fit
    monkeypatch.setattr(ImageOps, "fit", lambda image, *more: decoded.append(image.size) or fit(image, *more))
    photo = data.load_photo(encoded(Image.new("L", (11_600, 8_700), 255), "JPEG"), size=560)
    np.testing.assert_allclose(photo, 1)
    assert decoded == [(2900, 2175)]  # a quarter, still enough
    assert not recwarn.list


def test_a_large_jpeg_is_as_sharp_as_a_png():
    squares = Image.fromarray(np.kron(np.indices((60, 60)).sum(axis=0) % 2 * 255, np.ones((16, 16))).astype(np.uint8))
    photos = [data.load_photo(encoded(squares, form), size=240) for form in ("JPEG", "PNG")]
    np.testing.assert_allclose(*photos, atol=0.15)


@pytest.mark.parametrize("edge", [12_300, 20_000])  # below and above the edge where Pillow itself refuses
def test_more_pixels_than_the_limit_are_refused_before_they_are_decoded(edge):
    with pytest.raises(ValueError, match="the given bytes has more than 150,000,000 pixels; make it smaller"):
        data.load_photo(png(edge, edge, 8, 2, b""))


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"<svg></svg>"])
def test_what_is_no_picture_is_refused(content, tmp_path):
    (tmp_path / "x.jpg").write_bytes(content)
    with pytest.raises(ValueError, match="x.jpg' holds no picture; give a JPEG, PNG, WebP or GIF file"):
        data.load_photo(tmp_path / "x.jpg")
    with pytest.raises(ValueError, match="the given BytesIO holds no picture"):
        data.load_photo(io.BytesIO(content))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF"])
def test_a_picture_that_is_cut_off_is_refused(form):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8))
    content = encoded(noise, form)
    for length in (len(content) // 2, len(content) * 9 // 10):
        with pytest.raises(ValueError, match="^the given bytes (is damaged or cut off|holds no picture).*; "):
            data.load_photo(content[:length])


def test_a_missing_file_a_folder_and_other_things_are_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="lost.jpg' not found; give the path of a photo"):
        data.load_photo(tmp_path / "lost.jpg")
    with pytest.raises(ValueError, match=f"{tmp_path.name}' is a folder; give the path of one photo"):
        data.load_photo(str(tmp_path))
    for thing in (3, np.zeros((9, 9, 3)), {"content": b""}, io.StringIO("text")):
        with pytest.raises(ValueError, match=f"the given {type(thing).__name__} is no photo; give a path, bytes"):
            data.load_photo(thing)


@pytest.mark.parametrize("size", [27, 0, -560, 4097, 560.0, "560", None, True, (560, 560)])
def test_a_size_that_is_no_sensible_whole_number_is_refused(size):
    with pytest.raises(ValueError, match="size must be a whole number from 28 to 4096, not"):
        data.load_photo(size=size)


def test_a_numpy_integer_is_a_size():
    assert data.load_photo(size=np.int64(28)).shape == (28, 28, 3)


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
            data.load_photo(tmp_path / name, size=30)
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
    data.save_picture(tmp_path / "rose.png", photo)
    read = np.asarray(Image.open(tmp_path / "rose.png"), np.float32).reshape(photo.shape) / 255
    np.testing.assert_allclose(read, photo, atol=0.5 / 255 + 1e-6)


def test_a_saved_film_shows_each_photo_in_turn_for_its_time(tmp_path):
    photos = [np.full((30, 50, 3), value, np.float32) for value in (0.0, 0.5, 1.0)]
    data.save_film(str(tmp_path / "film.gif"), (photo for photo in photos), seconds_each=0.3)  # as carve yields them
    with Image.open(tmp_path / "film.gif") as film:
        frames = [(np.asarray(frame.convert("RGB")).mean() / 255, frame.info["duration"])
                  for frame in ImageSequence.Iterator(film)]
        assert film.size == (50, 30) and film.info["loop"] == 0
    np.testing.assert_allclose(frames, [(0, 300), (0.5, 300), (1, 300)], atol=0.01)


@pytest.mark.parametrize("save, name, thing", [
    (data.save_picture, "rose.png", rose()),
    (data.save_film, "rose.gif", [rose(), rose(shade=0.2)]),
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
    assert [path.name for path in tmp_path.glob("*") if path.is_dir()] == ["data", "keras"]


@pytest.mark.parametrize("photo, message", [
    (rose()[..., 0], "shape"), (rose() + 0.5, "outside 0..1"), (rose() * np.nan, "outside 0..1"), (rose()[:0], "shape"),
])  # fmt: skip
def test_what_is_no_photo_leaves_no_file(tmp_path, photo, message):
    with pytest.raises(ValueError, match=message):
        data.save_picture(tmp_path / "rose.png", photo)
    with pytest.raises(ValueError, match=message):
        data.save_film(tmp_path / "rose.gif", [photo])
    assert not list(tmp_path.glob("rose*"))


@pytest.mark.parametrize("photos, seconds, message", [
    ([], 0.5, "one size"), ([rose(), rose()[1:]], 0.5, "one size"), ([rose()], 0, "seconds_each"),
    ([rose()], np.nan, "seconds_each"), ([rose()], 61, "seconds_each"),
])  # fmt: skip
def test_a_film_of_nothing_of_two_sizes_or_of_no_time_is_refused(tmp_path, photos, seconds, message):
    with pytest.raises(ValueError, match=message):
        data.save_film(tmp_path / "rose.gif", photos, seconds)


def stroke(height=200, width=160, pen=16):
    """Ink in the form of a 7, light on dark, in 0..1."""
    rows, columns = np.mgrid[:height, :width]
    bar = (abs(rows - 40) <= pen / 2) & (columns >= 40) & (columns <= 120)
    leg = (abs(columns - 120 + (rows - 40) * 0.5) <= pen / 2) & (rows >= 40) & (rows <= 160)
    return (bar | leg).astype(np.float32)


def of_a_file(values, form="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.round(255 * np.clip(values, 0, 1)).astype(np.uint8)).save(file, form)
    return file.getvalue()


def alike(digit, other):
    """The correlation of two digits in model space, a pixel off or not."""
    moves = [(down, right) for down in (-1, 0, 1) for right in (-1, 0, 1)]
    return max(float((np.roll(digit, move, axis=(1, 2)) * other).mean()) for move in moves)


def test_ink_becomes_a_digit_20_pixels_long_with_its_mass_in_the_middle():
    digit = data.digit_from_ink(stroke())
    shown = (digit - digit.min()) / np.ptp(digit)
    assert digit.shape == (1, 28, 28, 1) and digit.dtype == np.float32
    np.testing.assert_allclose([digit.mean(), digit.std()], [0, 1], atol=1e-5)
    rows = np.flatnonzero(shown[0, ..., 0].any(axis=1))
    assert np.ptp(rows) + 1 == 20
    masses = shown[0, ..., 0]
    centers = [np.average(np.arange(28), weights=masses.sum(axis=axis)) for axis in (0, 1)]
    np.testing.assert_allclose(centers, 14, atol=0.51)


@pytest.mark.parametrize("changed", [lambda ink: np.pad(ink, ((9, 70), (55, 2))), lambda ink: 0.3 * ink])
def test_where_on_the_page_a_digit_is_and_how_dark_its_ink_does_not_matter(changed):
    np.testing.assert_allclose(data.digit_from_ink(changed(stroke())), data.digit_from_ink(stroke()), atol=1e-5)


@pytest.mark.parametrize("pen", [2, 4, 8])
def test_thin_strokes_become_as_thick_as_thin_ones_of_mnist_and_thick_ones_stay(pen):
    thin, plain, thick = (data.digit_from_ink(stroke(pen=width)) for width in (pen, 14, 24))
    ink = [((digit - digit.min()) / np.ptp(digit)).sum() for digit in (thin, plain, thick)]
    assert 0.75 * ink[1] < ink[0] < 1.3 * ink[1] < 1.2 * ink[2]
    assert alike(thin, plain) > 0.85


def test_a_digit_of_mnist_in_the_manner_of_mnist_already_stays_as_it_is():
    digit = data.digit_from_ink(stroke())
    shown = (digit - digit.min()) / np.ptp(digit)
    np.testing.assert_allclose(data.digit_from_ink(shown[0, ..., 0]), digit, atol=0.02)


@pytest.mark.parametrize(
    "ink, message",
    [
        (np.zeros((9, 9)), "there is no ink"),
        (np.zeros((0, 9)), "there is no ink"),
        (np.full((9, 9), 1.5), r"ink of shape \(9, 9\)"),
        (np.full((9, 9), np.nan), "values in 0..1"),
        (np.ones((9, 9, 1)), r"\(9, 9, 1\)"),
    ],
)
def test_what_is_no_ink_is_refused(ink, message):
    with pytest.raises(ValueError, match=message):
        data.digit_from_ink(ink)


def test_a_dot_is_a_digit_too():
    ink = np.zeros((50, 50))
    ink[20, 30] = 1
    assert data.digit_from_ink(ink).std() > 0.9


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("light", [False, True])
def test_a_photo_of_a_digit_is_found_on_uneven_paper_and_on_a_blackboard(form, light):
    page = np.pad(stroke(), ((60, 140), (200, 140)))
    rows, columns = np.mgrid[: page.shape[0], : page.shape[1]]
    noise = np.random.default_rng(0).normal(0, 0.02, page.shape)
    photo = (0.5 + 0.45 * columns / page.shape[1]) * (1 - 0.6 * page) + noise
    digit = data.load_digit(of_a_file(1 - photo if light else photo, form))
    assert alike(digit, data.digit_from_ink(stroke())) > 0.95


def test_specks_and_a_shadow_at_the_edge_are_left_out():
    page = np.pad(stroke(), ((60, 140), (200, 140)))
    page[10:14, 300:304], page[:, :30] = 1, 1
    assert alike(data.load_digit(of_a_file(1 - 0.8 * page)), data.digit_from_ink(stroke())) > 0.95


def test_a_digit_that_touches_the_edge_is_kept_where_there_is_no_other():
    page = np.pad(stroke(), 40)[: 40 + 150]
    assert alike(data.load_digit(of_a_file(1 - page)), data.digit_from_ink(stroke()[:150])) > 0.95


@pytest.mark.parametrize("page", ["white", "black", "slope", "noise"])
def test_a_picture_without_ink_is_refused(page):
    rows, columns = np.mgrid[:300, :400]
    noise = np.random.default_rng(0).normal(0.7, 0.03, rows.shape)
    pages = {"white": np.ones_like(noise), "black": np.zeros_like(noise), "slope": columns / 400, "noise": noise}
    with pytest.raises(ValueError, match="the given bytes shows no digit; give a picture of one digit"):
        data.load_digit(of_a_file(pages[page]))


def test_a_saved_digit_comes_back(tmp_path):
    for name, digit in [("drawn", data.digit_from_ink(stroke())), ("real", data.load_small_digits()[0][:1])]:
        shown = (digit - digit.min()) / np.ptp(digit)
        data.save_picture(tmp_path / f"{name}.png", shown[0])
        np.testing.assert_allclose(data.load_digit(tmp_path / f"{name}.png"), digit, atol=0.02)


def test_a_small_scan_is_not_taken_for_a_saved_digit():
    small = np.asarray(Image.fromarray(stroke()[20:180, 30:130]).resize((28, 28))).clip(0, 1)
    digit = data.load_digit(of_a_file(1 - small))
    assert digit[0, 0, 0, 0] == digit.min() and alike(digit, data.digit_from_ink(small)) > 0.9


def test_a_broken_photo_of_a_digit_is_refused_as_any_photo_is(tmp_path):
    with pytest.raises(ValueError, match="holds no picture"):
        data.load_digit(b"nothing")
    with pytest.raises(FileNotFoundError, match="'none.png' not found"):
        data.load_digit("none.png")


def test_the_photo_of_a_digit_is_turned_upright_and_not_cut():
    page = np.pad(stroke(), ((0, 300), (10, 10)))  # the digit is not in the middle square
    picture = Image.fromarray(np.round(255 * (1 - page)).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = 6
    picture.save(file, "JPEG", exif=exif)
    assert alike(data.load_digit(file.getvalue()), data.digit_from_ink(stroke())) > 0.95
