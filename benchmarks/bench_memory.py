"""Peak memory against its targets: zoos of many maps and of a large network of others, dreams of a large photograph.

Each row is a process of its own, of which the system tells the peak; few steps, passes and candidates, for memory does
not grow with them.
"""

import subprocess
import sys

START = """
import os, resource, sys, time
import keras, numpy as np
from helpers import models
from helpers.activations import feature_extractor, pre_activation_extractor
from helpers.dreams import carve, carve_octaves, carve_tiles, same_map
from helpers.geometry import any_size
from helpers.ink import digit_from_ink
from helpers.objectives import Channels
from helpers.oips import create_oips
from helpers.photos import load_photo
steps = [0.5, 0.2, 0.1]
def wide():
    return keras.Sequential([keras.Input((224, 224, 3)), keras.layers.Conv2D(16, 7, strides=2, activation="relu"),
                             keras.layers.Conv2D(512, 3, strides=4, activation="relu", name="wide")])
def resnet():
    return keras.applications.ResNet50(weights=None)
def zoo(network, layer, maps, starts=2):
    create_oips(network, layer, range(maps), starts=starts, candidates=24, step_sizes=steps)
def large():
    return np.random.default_rng(0).random((4000, 6000, 3), np.float32)  # 24 megapixels
def of(network, read=pre_activation_extractor):
    return read(network, "Conv2D_3")
"""
END = "\nprint(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)"  # MB
ALONE, FEW, MANY = "the network alone", "32 maps at 224 x 224 x 3", "512 maps at 224 x 224 x 3"
ROWS = {  # what is done: (in Python, most MB)
    ALONE: ("resnet()", None),
    "64 maps of ResNet50's conv1_conv": ("zoo(resnet(), 'conv1_conv', 64)", 2000),
    "32 maps of ResNet50's conv4_block6_out": ("zoo(resnet(), 'conv4_block6_out', 32)", 2000),
    "8 maps of ResNet50's conv5_block3_out": ("zoo(resnet(), 'conv5_block3_out', 8)", 2000),
    "128 maps of our Conv2D_3, 20 starts each": ("zoo(models.load_cnn(), 'Conv2D_3', 128, 20)", 2000),
    FEW: ("zoo(wide(), 'wide', 32)", 2000),
    MANY: ("zoo(wide(), 'wide', 512)", None),
    "carve, 24 megapixels": ("[0 for _ in carve(Channels(of(models.load_cnn()), [56]), large(), 2, steps)]", 2000),
    "carve_tiles, 24 megapixels": (
        "[0 for _ in carve_tiles(same_map(of(models.load_cnn()), 56), large(), 4, 2, steps)]", 2000),
    "carve_octaves, 24 megapixels": (
        "[0 for _ in carve_octaves(Channels(of(any_size(models.load_cnn()), feature_extractor), [56]), large(), 2, "
        "step_sizes=[0.1])]", 2000),
}  # fmt: skip
INK = """
digit_from_ink(np.eye(50))
ink, begin = np.random.default_rng(0).random((1000, 1000)), time.perf_counter()
digit_from_ink(ink)
print(time.perf_counter() - begin)
"""
PIPE = """
os.mkfifo(name := f"pipe-{os.getpid()}.png")
begin = time.perf_counter()
try:
    load_photo(name)
except ValueError:
    print(time.perf_counter() - begin)
finally:
    os.remove(name)
"""
SECONDS = {"ink of 1,000 x 1,000 pixels": (INK, 1.0), "a named pipe in place of a photo": (PIPE, 1.0)}


def number(python):
    """What a process of its own prints last."""
    run = subprocess.run([sys.executable, "-c", START + python], capture_output=True, text=True, timeout=3600)
    if run.returncode:
        sys.exit(run.stderr)
    return float(run.stdout.split()[-1])


def told(what, found, most, unit):
    target = "" if most is None else f"target {most:.0f}{', MISSED' if found > most else ''}"
    print(f"  {what:42} {found:8.2f} {unit}  {target}", flush=True)


def main(wanted=""):
    peaks = {}
    for what, (python, most) in ROWS.items():
        if wanted in what:
            peaks[what] = number(python + END)
            most = 1.3 * peaks[FEW] if what == MANY and FEW in peaks else most
            told(what, peaks[what], most, "MB")
    for what, (python, most) in SECONDS.items():
        if wanted in what:
            told(what, number(python), most, "s")


if __name__ == "__main__":
    main(*sys.argv[1:])
