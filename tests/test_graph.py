"""What helpers.base.graph promises: each layer's call, in the order of the calculation."""

import keras
import numpy as np
import pytest
from keras import layers

from helpers.base.graph import bytes_per_image, call_of, calls, image_of, maker_of, readers_of


def chain():
    return keras.Sequential([keras.Input((8, 8, 1)), layers.Conv2D(2, 3, name="A"), layers.ReLU(name="B"),
                             layers.Flatten(name="C")])  # fmt: skip


def diamond():
    images = keras.Input((8, 8, 1), name="Image")
    start = layers.Conv2D(2, 3, name="Start")(images)
    left, right = layers.ReLU(name="Left")(start), keras.ops.tanh(start)
    return keras.Model(images, layers.Add(name="Sum")([left, right]))


def test_in_a_chain_each_call_reads_what_the_one_before_gives():
    found = calls(chain())
    assert [call.layer.name for call in found[1:]] == ["A", "B", "C"]
    assert not found[0].reads and image_of(chain()).shape == (None, 8, 8, 1)
    assert all(after.reads[0] is before.gives[0] for before, after in zip(found, found[1:]))


def test_each_call_comes_after_those_it_reads_from():
    known = []
    for call in calls(diamond()):
        assert all(any(read is tensor for tensor in known) for read in call.reads)
        known += call.gives
    assert len(known) == 5


def test_who_makes_and_who_reads_a_tensor():
    model = diamond()
    start = call_of(model, "Start").gives[0]
    assert maker_of(start) is model.get_layer("Start")
    assert sorted(type(call.layer).__name__ for call in readers_of(model, start)) == ["ReLU", "Tanh"]
    assert [call.layer.name for call in readers_of(model, model.inputs[0])] == ["Start"]


def test_a_layer_another_model_shares_is_found_in_the_graph_that_was_asked_for():
    model = chain()
    other = keras.Sequential([keras.Input((8, 8, 1)), *model.layers])
    assert call_of(model, "A").reads[0] is model.inputs[0]
    assert call_of(other, "A").reads[0] is other.inputs[0]


def test_the_largest_tensor_of_a_layer_inside_counts_as_well():
    inner = keras.Sequential([keras.Input((None, None, 1)), layers.Conv2D(10, 3, padding="same"),
                              layers.GlobalAveragePooling2D()])  # fmt: skip
    outer = keras.Sequential([keras.Input((None, None, 1)), inner, layers.Dense(3)])
    assert bytes_per_image(outer, (20, 30, 1)) == 4 * 20 * 30 * 10
    assert bytes_per_image(chain(), (8, 8, 1)) == 4 * 6 * 6 * 2


def test_what_has_no_single_graph_is_refused():
    class Own(keras.Model):
        def call(self, images):
            return images

    with pytest.raises(ValueError, match="Own is a subclassed model whose layers form no graph"):
        calls(Own())
    with pytest.raises(ValueError, match="layer 'D' not found; this model has A, B, C"):
        call_of(chain(), "D")
    images = keras.Input((8, 8, 1))
    halves = keras.Model(images, [layers.ReLU()(images), layers.ReLU()(images)], name="Halves")
    with pytest.raises(ValueError, match="layer 'Halves' gives 2 outputs"):
        call_of(keras.Model(images, halves(images)), "Halves")
    np.testing.assert_array_equal(halves(np.ones((1, 8, 8, 1)))[0], 1)
