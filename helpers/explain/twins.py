"""Twins of a model: the same weights, but signals come back down by another rule, or maps go in halfway up.

Attributions are made of them. A twin is a graph of its own, so the model is left untouched, and follows it when it
learns on. Knows nothing of images, objectives or files.
"""

import weakref

import keras
import tensorflow as tf

from helpers.activations import NON_LINEARITIES, class_logits, feature_extractor
from helpers.base.graph import image_of, maker_of

_twins = weakref.WeakKeyDictionary()  # the same model, layer and rule give the same twin: one compilation


def answers_of(model, layer=None):
    """Return the extractor that is asked: of the logits for None, else of the activations of a layer."""
    return class_logits(model) if layer is None else feature_extractor(model, layer)


def upper_part(model, conv, layer):
    """Return the model from the maps of `conv`, after its non-linearity, to the logits or the maps of `layer`."""

    def make():
        whole = twin(model, layer, None)
        maps = whole.get_layer(maker_of(feature_extractor(model, conv).outputs[0]).name).output
        return keras.Model(maps, keras.layers.Identity()(whole.outputs[0]))  # where `conv` is the answer itself

    return _known(model, (layer, conv), make)


def twin(model, layer, rule):
    """Return the model up to the logits or to `layer`, with another `rule` at every ReLU on the way down.

    `rule(signal, awake)` gives what passes: `rectify_signal`, `rectify_both`, or None for the gradient as it is.
    """
    features = answers_of(model, layer)  # refuses what cannot be asked
    whole = keras.Model(image_of(model), model.outputs[0]) if layer is None else features
    last = maker_of(model.outputs[0]) if layer is None else None

    def clone(one):
        if isinstance(one, keras.Model) and getattr(one, "inputs", None):
            return keras.models.clone_model(one, clone_function=clone)
        return _Twin(one, rule, linear=one is last)

    return _known(model, (layer, rule), lambda: keras.models.clone_model(whole, clone_function=clone))


def _known(model, key, make):
    made = _twins.setdefault(model, {})
    if key not in made:
        made[key] = make()
    return made[key]


def rectify_signal(signal, awake):
    """Return the signal where it is above 0: the rule of the deconvnet, whatever was awake on the way up."""
    return tf.nn.relu(signal)


def rectify_both(signal, awake):
    """Return the signal where it is above 0 and the ReLU was awake: guided backpropagation."""
    return tf.where(awake, tf.nn.relu(signal), 0)


class _Twin(keras.layers.Layer):
    """What `layer` computes, from the very same weights: with a rule of its own at a ReLU, or without non-linearity."""

    def __init__(self, layer, rule, linear):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        twin = object.__new__(type(layer))  # shares the variables: stays true when the model learns on
        twin.__dict__.update(layer.__dict__)
        self.compute = twin.call
        fused = getattr(layer, "activation", None)
        if linear and isinstance(layer, NON_LINEARITIES):
            self.compute = tf.identity
        elif linear:
            twin.__dict__["activation"] = keras.activations.linear
        elif rule and fused is keras.activations.relu:
            twin.__dict__["activation"] = _with_rule(fused, rule)
        elif rule and isinstance(layer, keras.layers.ReLU):
            self.compute = _with_rule(twin.call, rule)

    def call(self, *inputs, **options):
        return self.compute(*inputs, **options)


def _with_rule(rectify, rule):
    """The function `rectify`, which sends a signal back by `rule` instead of its gradient."""

    @tf.custom_gradient
    def ruled(values):
        rectified = rectify(values)
        return rectified, lambda signal: rule(signal, rectified > 0)

    return ruled
