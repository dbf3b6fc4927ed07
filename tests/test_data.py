"""What helpers.data promises of digits. Offline: every network is cut, every cache empty."""

import gzip
import io
import os
import socket
import struct
import time
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest

from helpers import data

CANDIDATES = (os.environ.get("MNIST_NPZ"), data.FOLDER / "mnist.npz", Path.home() / ".keras/datasets/mnist.npz")
REAL_MNIST = next((path for path in CANDIDATES if path and Path(path).is_file()), None)
needs_mnist = pytest.mark.skipif(REAL_MNIST is None, reason="MNIST is not here: name its file in MNIST_NPZ")


@pytest.fixture(autouse=True)
def nowhere(monkeypatch, tmp_path):
    """A machine without MNIST and without a network; returns the path of the empty Keras cache's file."""

    def refuse(*arguments, **options):
        raise OSError("no network")

    for variable in ("MNIST_NPZ", "FASHION_NPZ"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))  # a path of its own for each test
    monkeypatch.setattr(data, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(keras.utils, "get_file", refuse)
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


def test_the_named_file_comes_before_data_and_data_before_the_keras_cache(monkeypatch, nowhere, arrays):
    named = nowhere.with_name("named.npz")
    for shift, path in enumerate((nowhere, data.FOLDER / "mnist.npz", named)):
        np.savez(path, **{**arrays, "y_test": np.roll(arrays["y_test"], shift)})
    found = []
    monkeypatch.setenv("MNIST_NPZ", str(named))
    found.append(data.load_digits("test")[1][0])
    monkeypatch.delenv("MNIST_NPZ")
    found.append(data.load_digits("test")[1][0])
    (data.FOLDER / "mnist.npz").unlink()
    found.append(data.load_digits("test")[1][0])
    assert found == [8, 9, 0]


def test_a_named_file_that_is_missing_is_an_error_naming_it(monkeypatch, tmp_path):
    monkeypatch.setenv("MNIST_NPZ", str(tmp_path / "lost.npz"))
    with pytest.raises(FileNotFoundError, match="lost.npz not found; correct or unset .* MNIST_NPZ"):
        data.load_digits("test")


@pytest.mark.parametrize("place", ["named", "data"])
@pytest.mark.parametrize("content", ["cut", "flipped", "empty", "page", "folder"])
def test_a_file_that_is_not_whole_is_refused_by_name(monkeypatch, tmp_path, whole, place, content):
    path = tmp_path / "my.npz" if place == "named" else data.FOLDER / "mnist.npz"
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


def test_a_network_that_swallows_everything_costs_seconds_at_most(monkeypatch):
    monkeypatch.setattr(data, "ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(10))
    start = time.perf_counter()
    assert "stand in" in data.digits_in_use()
    assert time.perf_counter() - start < 3


# Downloads


@pytest.fixture
def download(monkeypatch):
    """A network: download(files) makes Keras fetch these {name: content}, or raise what stands for a content."""
    monkeypatch.setattr(urllib.request, "urlopen", lambda *_, **__: io.BytesIO())

    def prepare(files):
        def get_file(name, address, cache_dir, cache_subdir):
            assert socket.getdefaulttimeout() == data.STALL_SECONDS and address == data.ADDRESS + name
            content, path = files[name], Path(cache_dir, cache_subdir, name)
            path.write_bytes(b"half of it" if isinstance(content, BaseException) else content)
            if isinstance(content, BaseException):
                raise content
            return str(path)

        monkeypatch.setattr(keras.utils, "get_file", get_file)

    return prepare


def test_a_download_gives_mnist_and_is_kept(download, arrays, nowhere, whole):
    download({"mnist.npz": whole.read_bytes()})
    assert data.digits_in_use() == "MNIST: 60,000 training and 10,000 test digits."
    np.testing.assert_array_equal(data.load_digits("test")[1], arrays["y_test"])
    assert [path.name for path in nowhere.parent.iterdir()] == ["mnist.npz"]
    assert nowhere.read_bytes() == whole.read_bytes()


@pytest.mark.parametrize("content", [Exception("URL fetch failure"), TimeoutError(), ValueError("hash"), b"<html>"])
@pytest.mark.parametrize("before", [None, b"broken"])
def test_a_failed_download_changes_nothing_in_the_cache_and_the_stand_in_takes_over(download, nowhere, content, before):
    if before:
        nowhere.write_bytes(before)
    download({"mnist.npz": content})
    assert "cannot be downloaded" in data.digits_in_use()
    assert len(data.load_digits("test")[0]) == 360
    assert [path.read_bytes() for path in nowhere.parent.iterdir()] == [before] * bool(before)
    assert socket.getdefaulttimeout() is None


def test_an_interrupted_download_leaves_nothing_and_stays_an_interrupt(download, nowhere):
    download({"mnist.npz": KeyboardInterrupt()})
    with pytest.raises(KeyboardInterrupt):
        data.load_digits("test")
    assert not nowhere.exists() and socket.getdefaulttimeout() is None


def test_a_broken_file_in_the_keras_cache_is_replaced_where_there_is_a_network(download, nowhere, whole):
    nowhere.write_bytes(whole.read_bytes()[:1000])
    download({"mnist.npz": whole.read_bytes()})
    assert data.digits_in_use().startswith("MNIST: 60,000")
    assert nowhere.read_bytes() == whole.read_bytes()


def test_a_broken_file_in_the_keras_cache_is_named_and_kept_where_there_is_no_network(nowhere, whole):
    nowhere.write_bytes(whole.read_bytes()[:1000])
    sentence = data.digits_in_use()
    assert sentence.startswith("The mnist.npz in the Keras cache is broken and cannot be downloaded")
    assert len(data.load_digits("test")[0]) == 360
    assert nowhere.read_bytes() == whole.read_bytes()[:1000]


def test_a_good_file_in_the_keras_cache_survives_a_moment_without_memory(monkeypatch, download, nowhere, whole):
    nowhere.write_bytes(whole.read_bytes())
    download({"mnist.npz": whole.read_bytes()})
    with monkeypatch.context() as patch:
        patch.setattr(np, "load", lambda *_, **__: (_ for _ in ()).throw(MemoryError()))
        with pytest.raises(MemoryError):
            data.load_digits("test")
    assert nowhere.read_bytes() == whole.read_bytes() and len(data.load_digits("test")[0]) == 10_000


# Fashion-MNIST


def part_of(arrays, train, test):
    return {name: array[: train if name.endswith("train") else test] for name, array in arrays.items()}


def zipped(array):
    """An array as the files of MNIST have it: two zeros, the type, the number of axes, the shape, the bytes."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return gzip.compress(header + array.tobytes())


@pytest.mark.parametrize("place", ["named", "data"])
def test_a_part_of_fashion_mnist_will_do_and_is_called_a_part(monkeypatch, tmp_path, arrays, place):
    path = tmp_path / "my.npz" if place == "named" else data.FOLDER / "fashion_mnist.npz"
    np.savez(path, **part_of(arrays, 300, 40))
    if place == "named":
        monkeypatch.setenv("FASHION_NPZ", str(path))
    images, labels = data.load_digits("train", dataset="fashion_mnist")
    assert images.shape == (300, 28, 28, 1) and labels.dtype == np.int64
    sentence = "Fashion-MNIST, a part of it: 300 training and 40 test pieces of clothing."
    assert data.digits_in_use("fashion_mnist") == sentence
    assert "stand in" in data.digits_in_use()  # MNIST is another matter


def test_fashion_mnist_comes_from_the_files_that_keras_keeps_or_fetches(download, arrays, nowhere):
    names = ["train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"]
    files = {f"{name}-ubyte.gz": zipped(array) for name, array in zip(names, arrays.values(), strict=True)}
    download(files)
    for _ in range(2):  # fetched, then kept
        np.testing.assert_array_equal(data.load_digits("test", "fashion_mnist")[1], arrays["y_test"])
        assert data.digits_in_use("fashion_mnist").startswith("Fashion-MNIST: 60,000 training and 10,000 test")
        kept = {path.name: path.read_bytes() for path in (nowhere.parent / "fashion-mnist").iterdir()}
        assert kept == files
        download({})


def test_nothing_stands_in_for_fashion_mnist():
    for ask in (data.digits_in_use, lambda dataset: data.load_digits("test", dataset)):
        with pytest.raises(FileNotFoundError, match="put fashion_mnist.npz into .* data, or name it in .* FASHION_NPZ"):
            ask("fashion_mnist")


@pytest.mark.parametrize("changed, fault", [
    ({"y_train": np.zeros(7, np.uint8)}, r"x_train of .* is uint8 \(30, 28, 28\), not uint8 \(7, 28, 28\)"),
    ({"x_test": np.zeros((0, 28, 28), np.uint8), "y_test": np.zeros(0, np.uint8)}, r"not uint8 \(1, 28, 28\)"),
    ({"y_test": np.full(20, 11, np.uint8)}, "goes up to 11, Fashion-MNIST's to 9"),
])  # fmt: skip
def test_a_part_that_does_not_fit_together_is_refused(monkeypatch, tmp_path, arrays, changed, fault):
    np.savez(tmp_path / "part.npz", **{**part_of(arrays, 30, 20), **changed})
    monkeypatch.setenv("FASHION_NPZ", str(tmp_path / "part.npz"))
    with pytest.raises(ValueError, match=fault):
        data.load_digits("test", "fashion_mnist")


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="dataset 'cifar' is unknown; choose 'mnist' or 'fashion_mnist' or"):
        data.load_digits("test", dataset="cifar")


def test_scikit_learns_digits_can_be_asked_for_where_mnist_is_there_too(monkeypatch, whole):
    monkeypatch.setenv("MNIST_NPZ", str(whole))
    assert len(data.load_digits("test", dataset="scikit-learn")[0]) == 360
    assert data.digits_in_use("scikit-learn").startswith("1,797 real handwritten digits")


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
