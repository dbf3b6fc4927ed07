"""The engine's arithmetic per second over the machine's own float32 matrix product, batch of 128.

Counted are the multiplications and additions of the three convolutions, forward and back to the image.
"""

import time

import numpy as np

from helpers import models
from helpers.activations import pre_activation_extractor
from helpers.ascent import ascend
from helpers.fluctuations import fluctuations
from helpers.objectives import Channels

import tensorflow as tf  # after helpers, which quiets its start

BATCH, STEPS, SIDE, ROUNDS = 128, 30, 2048, 7


def convolution_flops(cnn):
    """Floating-point operations of one step on one image: 2 per weight and node, forward and backward."""
    flops = 0
    for layer in cnn.layers:
        if hasattr(layer, "kernel_size"):
            _, height, width, _ = layer.output.shape
            flops += 2 * 2 * height * width * int(np.prod(layer.kernel.shape))
    return flops


def seconds(function):
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def main():
    cnn = models.load_cnn()
    objective = Channels(pre_activation_extractor(cnn, "Conv2D_3"), np.arange(BATCH) % 128)
    starts, sizes = fluctuations(BATCH, {3: 1, 7: 1}, seed=0), np.geomspace(5, 0.1, STEPS)
    matrix = tf.random.stateless_normal((SIDE, SIDE), seed=(0, 0))
    product = tf.function(lambda: tf.matmul(matrix, matrix))

    def climb():
        return ascend(objective, starts, sizes, reports=lambda steps: [])

    climb(), product().numpy()
    pairs = [(seconds(climb), seconds(lambda: product().numpy())) for _ in range(ROUNDS)]
    rates = [(convolution_flops(cnn) * BATCH * STEPS / climbing, 2 * SIDE**3 / multiplying)
             for climbing, multiplying in pairs]
    engine, machine = np.median(rates, axis=0) / 1e9
    share = np.median([engine / machine for engine, machine in rates])
    print(f"engine {engine:.0f} GFLOP/s, matrix product {machine:.0f} GFLOP/s, share {share:.2f} "
          f"(median of {ROUNDS} pairs, batch {BATCH}, {convolution_flops(cnn) / 1e6:.2f} MFLOP a step and image)")


if __name__ == "__main__":
    main()
