"""One sentence for every unsuitable argument, the same one wherever it is given."""

from pathlib import Path

import keras
import numpy as np
import pytest

from helpers.base import checks

NAN, INF = float("nan"), float("inf")
BATCH = np.zeros((2, 28, 28, 1), np.float32)
PHOTO = np.full((30, 40, 3), 0.5)
TABLE = [  # (function, arguments, what its sentence says)
    (checks.number, (101, "strength", 0, 100), "strength 101 is out of range; use a number from 0 to 100"),
    (checks.number, (-1, "rate", 0), "rate -1 is out of range; use a number of 0 or more"),
    (checks.number, (0.0, "scale", 0, 9, 0), "scale 0.0 is out of range; use a number above 0, 9 at most"),
    (checks.number, (NAN, "rate"), "rate nan is out of range; use a number$"),
    (checks.number, (INF, "rate", 0), "rate inf is out"),
    (checks.number, ("3", "rate"), "rate '3' is out of range"),
    (checks.number, (None, "rate"), "rate None is out of range"),
    (checks.number, (True, "rate"), "rate True is out of range"),
    (checks.number, ([1.0], "rate"), r"rate \[1.0\] is out of range"),
    (checks.number, (np.ones(2), "rate"), r"rate of shape \(2,\) is out of range"),
    (checks.number, (1j, "rate"), "rate 1j is out of range"),
    (checks.whole, (2.0, "passes"), "passes 2.0 is out of range; use a whole number of 0 or more"),
    (checks.whole, (-1, "seed"), "seed -1 is out of range"),
    (checks.whole, (28_000, "size", 28, 4096), "size 28000 is out of range; use a whole number from 28 to 4,096"),
    (checks.whole, (True, "n", 1), "n True is out of range"),
    (checks.whole, ("1", "n", 1), "n '1' is out of range"),
    (checks.whole, (NAN, "n"), "n nan is out"),
    (checks.whole, (range(3), "n"), r"n range\(0, 3\) is out"),
    (checks.wholes, ((0, 5), "size", 2, 1), r"size \(0, 5\) does not fit; give \(height, width\), whole"),
    (checks.wholes, ("ab", "size"), "size 'ab' does not fit"),
    (checks.wholes, (None, "size"), "size None does not fit"),
    (checks.wholes, ((1, 2, 3), "size"), r"size \(1, 2, 3\) does not fit"),
    (checks.path, (3,), "path 3 is no path; give a str or a pathlib.Path"),
    (checks.path, (b"x.png", "backup"), "backup b'x.png' is no path"),
    (checks.network, (None,), r"model None is no network; give a Keras model, such as models.load_cnn\(\)"),
    (checks.network, (len, "features"), "features <built-in function len> is no network"),
    (checks.index, (-1, 4), "map index -1 does not exist: this layer has 0 to 3"),
    (checks.index, (4, 4), "map index 4 does not exist"),
    (checks.index, (1.0, 4), "map index 1.0 does not exist"),
    (checks.index, (None, 10, "class", "this network"), "class None does not exist: this network has 0 to 9"),
    (checks.choice, ("tset", "split", ("train", "test")), "split 'tset' is unknown; choose 'train' or 'test'"),
    (checks.choice, (np.zeros(2), "split", ("train", "test")), r"split of shape \(2,\) is unknown"),
    (checks.choice, (1.0, "stride", (1, 2)), "stride 1.0 is unknown; choose 1 or 2"),
    (checks.function, (3, "project", "standardize"), "project 3 is no function; give one, such as standardize"),
    (checks.numbers, ([1, NAN], "values"), "values hold NaN or infinite values"),
    (checks.numbers, ([1, -INF], "values"), "values hold NaN or infinite values"),
    (checks.numbers, (["a"], "values"), r"values \['a'\] cannot be read as numbers"),
    (checks.numbers, ([[1], [2, 3]], "values"), "cannot be read as numbers"),
    (checks.numbers, ([1 + 1j], "values"), "cannot be read as numbers"),
    (checks.numbers, (None, "values"), "values None cannot be read as numbers"),
    (checks.numbers, ([1, 2], "values", (3,)), r"values have shape \(2,\); give \(3,\)"),
    (checks.numbers, ([1, 2], "values", (None, 2)), r"values have shape \(2,\); give \(n, 2\)"),
    (checks.images, (BATCH[0],), r"images have shape \(28, 28, 1\); .*images\[np.newaxis\]"),
    (checks.images, (BATCH[..., 0],), r"images have shape \(2, 28, 28\); .*images\[..., np.newaxis\]"),
    (checks.images, (BATCH[0, ..., 0],), r"one gray image is images\[np.newaxis, ..., np.newaxis\]"),
    (checks.images, (BATCH[:0],), r"shape \(0, 28, 28, 1\), so there is no image in them"),
    (checks.images, (BATCH * NAN,), "images hold NaN"),
    (checks.images, (BATCH + 1e38,), r"images hold values as large as 1e\+38, of which no deviation can be calculated"),
    (checks.images, (BATCH, (27, 28, 1), "digits"), r"digits have .*network sees \(n, 27, 28, 1\), .*images.resize"),
    (checks.images, (BATCH, (28, None, 3)), r"the network sees \(n, 28, any, 3\), so give it images with as many"),
    (checks.images, (np.zeros((1, 9, 9, 3)), (9, 9, 1)), "images.gray makes one channel of three"),
    (checks.images, (5,), r"images have shape \(\); a batch is"),
    (checks.images, ("digits",), "images 'digits' cannot be read as numbers"),
    (checks.labels, ([1, 2], 3), r"labels have shape \(2,\); 3 images need one label each"),
    (checks.labels, (np.eye(10)[[1, 2]], 2), r"labels have shape \(2, 10\), one column per class; .*argmax"),
    (checks.labels, ([1, 10], 2, 10), "labels hold 10; each must be a whole number from 0 to 9"),
    (checks.labels, ([1, -1], 2, 10), "labels hold -1"),
    (checks.labels, ([1.5, 2], 2), "labels hold 1.5; each must be a whole number of 0 or more"),
    (checks.labels, ([NAN, 2], 2), "labels hold nan"),
    (checks.labels, (["a", "b"], 2), "labels hold 'a'"),
    (checks.photo, (PHOTO[0],), r"the photo has shape \(40, 3\)"),
    (checks.photo, (PHOTO[..., :2],), r"the photo has shape \(30, 40, 2\)"),
    (checks.photo, (PHOTO, 31), "the photo has 30 x 40 pixels; it needs 31 along each edge"),
    (checks.photo, (PHOTO * 255,), "values from 127.5 to 127.5; .*divide 8-bit values by 255"),
    (checks.photo, (PHOTO - 1, 1, "the painting"), "the painting has values from -0.5"),
    (checks.photo, (PHOTO * NAN,), "the photo holds NaN"),
    (checks.photo, ([["a"]],), "the photo has shape"),
    (checks.photo, (PHOTO[:0],), "the photo has 0 x 40 pixels"),
]


@pytest.mark.parametrize(("check", "arguments", "sentence"), TABLE, ids=lambda part: getattr(part, "__name__", ""))
def test_an_unsuitable_argument_is_refused_in_one_sentence(check, arguments, sentence):
    with pytest.raises(ValueError, match=sentence) as refusal:
        check(*arguments)
    told = str(refusal.value)
    assert len(told) < 250 and "\n" not in told


@pytest.mark.parametrize(
    ("check", "arguments", "expected"),
    [
        (checks.number, (np.float32(0.5), "rate", 0, 1), 0.5),
        (checks.number, (1, "rate", 0, 1), 1.0),
        (checks.number, (np.array(3), "rate"), 3.0),
        (checks.number, (keras.ops.convert_to_tensor(0.5), "rate"), 0.5),
        (checks.whole, (np.uint8(3), "n"), 3),
        (checks.whole, (0, "n"), 0),
        (checks.whole, (10**30, "seed"), 10**30),
        (checks.wholes, ((np.int64(3), 4), "size"), (3, 4)),
        (checks.wholes, (3, "size"), (3, 3)),
        (checks.path, ("a/b.png",), Path("a/b.png")),
        (checks.index, (3, 4), 3),
        (checks.choice, ("test", "split", ("train", "test")), "test"),
        (checks.function, (len, "measure", "len"), len),
    ],
)
def test_a_suitable_argument_comes_back_in_the_form_to_work_with(check, arguments, expected):
    found = check(*arguments)
    assert found == expected and type(found) is type(expected)


@pytest.mark.parametrize("kind", [bool, np.uint8, np.int64, np.float16, np.float64, "bfloat16"])
def test_images_of_any_kind_of_number_come_back_as_float32(kind):
    given = keras.ops.ones((2, 5, 6, 1), kind) if kind == "bfloat16" else np.ones((2, 5, 6, 1), kind)
    for found in (checks.images(given, (5, None, 1)), checks.numbers(given, "values")):
        assert found.dtype == np.float32 and (found == 1).all()


def test_labels_and_photos_come_back_as_they_are():
    np.testing.assert_array_equal(checks.labels([3, 0, 9], 3, 10), [3, 0, 9])
    np.testing.assert_array_equal(checks.photo(PHOTO, 30), PHOTO)
    tensor = keras.ops.convert_to_tensor(PHOTO, "float32")
    np.testing.assert_array_equal(checks.photo(tensor), PHOTO)


def test_float32_images_are_not_copied():
    assert np.shares_memory(checks.images(BATCH), BATCH)
