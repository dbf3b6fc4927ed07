"""Peak memory of zoos: many maps against few, and the layers of a large network of others.

Targets: 512 maps need at most 1.3 times the memory of 32; any layer of ResNet50 stays below 2 GB. Each row is a process
of its own; few steps and candidates, for memory does not grow with them.
"""

import subprocess
import sys

PEAK = """
import resource, sys
import keras, numpy as np
from helpers import models
from helpers.oips import create_oips

def wide():
    return keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Conv2D(16, 7, strides=2, activation="relu"),
                             keras.layers.Conv2D(512, 3, strides=4, activation="relu", name="wide")])

networks = {"cnn": models.load_cnn, "wide": wide, "resnet": lambda: keras.applications.ResNet50(weights=None)}
name, layer, maps, starts = sys.argv[1:]
network = networks[name]()
if layer:
    create_oips(network, layer, range(int(maps)), starts=int(starts), candidates=24, step_sizes=[0.5, 0.2, 0.1])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
ROWS = [("cnn", "", 0, 2), ("cnn", "Conv2D_3", 128, 1), ("cnn", "Conv2D_3", 128, 20), ("wide", "wide", 32, 2),
        ("wide", "wide", 512, 2), ("resnet", "", 0, 2), ("resnet", "conv1_conv", 64, 2),
        ("resnet", "conv4_block6_out", 32, 2), ("resnet", "conv5_block3_out", 8, 2)]  # fmt: skip


def main():
    for row in ROWS:
        run = subprocess.run([sys.executable, "-c", PEAK, *map(str, row)], capture_output=True, text=True, check=True)
        name, layer, maps, starts = row
        what = f"{maps} maps of {layer}, {starts} starts" if layer else "the network alone"
        print(f"  {name:7} {what:44} {int(run.stdout) / 1024:7.0f} MB", flush=True)


if __name__ == "__main__":
    main()
