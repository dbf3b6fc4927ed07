"""Autoencoders: their shapes, their training, their files."""

import keras
import numpy as np
import pytest

from helpers.images import standardize
from helpers.latent.autoencoders import (
    SHIPPED,
    _shuffled,
    build_autoencoder,
    decode,
    encode,
    halves,
    load_autoencoder,
    reconstruction_errors,
    train_autoencoder,  # fmt: skip
    train_variational,
)
from tests.conftest import tiny_cnn

SHAPE = (12, 12, 1)


def tiny(size=3, seed=0, shape=SHAPE):
    return build_autoencoder(size, seed, shape, maps=(4, 6))


def bars(n, seed):
    """Images of one bright bar each: which row it lies in is all there is to know."""
    random = np.random.default_rng(seed)
    images = 0.05 * random.standard_normal((n, *SHAPE)).astype(np.float32)
    images[np.arange(n), random.integers(1, 11, n)] += 1
    return standardize(images)


@pytest.mark.parametrize("shape", [(28, 28, 1), (12, 12, 1), (13, 18, 3), (5, 4, 1)])
@pytest.mark.parametrize("size", [1, 16])
def test_an_autoencoder_gives_images_of_the_shape_it_gets_through_as_many_numbers_as_asked_for(shape, size):
    model = tiny(size, shape=shape)
    images = np.random.default_rng(0).standard_normal((3, *shape)).astype(np.float32)
    vectors = encode(model, images)
    assert vectors.shape == (3, size) and model.output_shape == (None, *shape)
    np.testing.assert_allclose(decode(model, vectors), model(images), atol=1e-5)


def test_what_is_decoded_is_in_model_space():
    images = decode(tiny(), np.random.default_rng(0).normal(0, 20, (50, 3)))
    np.testing.assert_allclose(images.mean(axis=(1, 2, 3)), 0, atol=1e-4)
    np.testing.assert_allclose(images.std(axis=(1, 2, 3)), 1, atol=1e-2)


def test_a_seed_decides_the_start_weights():
    first, same, other = (tiny(seed=seed).get_weights() for seed in (4, 4, 5))
    for a, b, c in zip(first, same, other):
        np.testing.assert_array_equal(a, b)
        assert a.ndim == 1 or np.abs(a - c).max() > 0.01  # biases start at zero


def test_encoding_in_parts_is_encoding_at_once():
    model, images = tiny(), bars(23, 0)
    np.testing.assert_allclose(encode(model, images, batch_size=5), encode(model, images), atol=1e-5)
    np.testing.assert_allclose(
        reconstruction_errors(model, images), ((model(images) - images) ** 2).numpy().mean(axis=(1, 2, 3)), rtol=1e-3
    )
    assert decode(model, np.zeros((0, 3))).shape == (0, *SHAPE)


@pytest.mark.parametrize("train, seeds", [(train_autoencoder, (3, 3, 4)), (train_variational, (3,))])
def test_training_learns_and_the_same_seed_learns_the_same(train, seeds):
    images, test, histories = bars(320, 1), bars(64, 2), []
    for seed in seeds:
        model = tiny()
        before = reconstruction_errors(model, test).mean()
        history = train(model, images, test, epochs=3, batch_size=16, peak_rate=0.02, seed=seed, verbose=0)
        histories.append(history["loss"])
        assert reconstruction_errors(model, test).mean() < 0.7 * before
    for first, same, other in [histories] if len(seeds) == 3 else []:
        np.testing.assert_allclose(first, same, rtol=0.002)
        assert not np.allclose(first, other, rtol=0.005)


def test_every_epoch_shows_each_image_once_in_an_order_of_its_own():
    images = np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1) * np.ones((1, *SHAPE), np.float32)
    batches = _shuffled(images, 4, seed=1)
    first, second = (np.concatenate([batch[0][:, 0, 0, 0] for batch in batches]) for _ in range(2))
    assert sorted(first) == sorted(second) == list(range(8)) and not np.array_equal(first, second)


def test_training_keeps_the_best_epoch():
    images = bars(64, 1)
    model = tiny()
    history = train_autoencoder(model, images, -images, epochs=4, batch_size=16, verbose=0)  # learning hurts here
    assert min(history["val_loss"]) < history["val_loss"][-1]  # or the test could not fail
    kept = ((model(-images) + images) ** 2).numpy().mean()
    assert kept == pytest.approx(min(history["val_loss"]), rel=1e-3)


def test_a_killed_training_goes_on_from_its_last_full_epoch(tmp_path, monkeypatch):
    options = {"epochs": 4, "batch_size": 16, "peak_rate": 0.02, "backup": tmp_path, "verbose": 0}
    images, seen = bars(128, 1), []

    def end(student, epoch, logs=None):
        seen.append(epoch)
        if len(seen) == 3:
            raise KeyboardInterrupt

    from helpers.training import KeepBest

    monkeypatch.setattr(KeepBest, "on_epoch_begin", end, raising=False)
    with pytest.raises(KeyboardInterrupt):
        train_variational(tiny(), images, images, **options)  # it has more to keep than the plain one
    history = train_variational(tiny(), images, images, **options)
    assert seen == [0, 1, 2, 2, 3] and len(history["loss"]) == 4
    assert history["loss"][2] < 0.9 * history["loss"][0]  # it went on from learned weights


def test_a_variational_training_brings_latent_vectors_to_the_prior():
    images = bars(320, 1)
    spreads = []
    for train, options in ((train_autoencoder, {}), (train_variational, {"kl_weight": 20.0})):
        model = tiny()
        train(model, images, images[:64], epochs=3, batch_size=16, verbose=0, **options)
        spreads.append(np.abs(encode(model, images)).max())
    assert spreads[1] < 1.5 < spreads[0]


def test_an_autoencoder_comes_back_from_its_file(tmp_path):
    model, images = tiny(), bars(4, 0)
    model.save(tmp_path / "mine.keras")
    loaded = load_autoencoder(tmp_path / "mine.keras")
    np.testing.assert_allclose(encode(loaded, images), encode(model, images), atol=1e-6)


@pytest.mark.parametrize("source", [16, 256, "variational"])
def test_the_shipped_autoencoders_are_small_files_and_give_digits_back(source):
    assert SHIPPED[source].stat().st_size < 1_000_000
    model = load_autoencoder(source)
    assert encode(model, np.zeros((1, 28, 28, 1))).shape == (1, 256 if source == 256 else 16)
    from helpers.data import load_small_digits

    digits = load_small_digits()[0][:200]  # of other hands, which the autoencoder has never seen
    assert reconstruction_errors(model, digits).mean() < (0.15 if source == 256 else 0.5)


@pytest.mark.parametrize("size", [0, 4097, 2.5, "16"])
def test_a_number_of_components_that_cannot_be_is_refused(size):
    with pytest.raises(ValueError, match="latent components") as refusal:
        build_autoencoder(size, 0)
    assert str(size) in str(refusal.value)


@pytest.mark.parametrize("vectors, sentence", [
    (np.zeros((2, 4)), r"\(2, 4\)"), (np.zeros(3), r"\(3,\)"), (np.full((1, 3), np.nan), "NaN"), ([["a"]], "numbers"),
])  # fmt: skip
def test_vectors_that_do_not_fit_are_refused(vectors, sentence):
    with pytest.raises(ValueError, match=sentence):
        decode(tiny(), vectors)


def one_more():
    images = keras.Input(SHAPE)
    encoder, decoder = halves(tiny(3)).encoder, halves(tiny(4)).decoder
    return keras.Model(images, decoder(keras.layers.Dense(4)(encoder(images))))


@pytest.mark.parametrize("model", [tiny_cnn(), one_more(), "no model"])
def test_what_is_no_autoencoder_is_refused_in_one_sentence(model):
    images = bars(2, 0)
    for use in (halves, lambda model: encode(model, images), lambda model: train_autoencoder(model, images, images)):
        with pytest.raises(ValueError, match="is no autoencoder") as refusal:
            use(model)
        assert "\n" not in str(refusal.value)


def test_a_file_that_holds_none_is_refused_in_one_sentence(tmp_path):
    tiny_cnn().save(tmp_path / "cnn.keras")
    (tmp_path / "broken.keras").write_bytes(b"nothing")
    for source, error, sentence in [
        ("cnn.keras", ValueError, "no autoencoder"), ("broken.keras", ValueError, "cannot be"),
        ("missing.keras", FileNotFoundError, "no autoencoder file"),
    ]:  # fmt: skip
        with pytest.raises(error, match=sentence):
            load_autoencoder(tmp_path / source)
    with pytest.raises(ValueError, match="autoencoder 17 is unknown"):
        load_autoencoder(17)


@pytest.mark.parametrize("changed, sentence", [
    ({"epochs": 0}, "epochs"), ({"batch_size": 0}, "batch_size"), ({"peak_rate": 0}, "peak_rate"),
    ({"seed": -1}, "seed"), ({"images": bars(4, 0)[:, :10]}, "images"),
    ({"validation": bars(4, 0)[..., 0]}, "validation images"),
])  # fmt: skip
def test_a_training_that_cannot_be_is_refused(changed, sentence):
    with pytest.raises(ValueError, match=sentence):
        train_autoencoder(tiny(), **{"images": bars(4, 0), "validation": bars(4, 1), **changed})
