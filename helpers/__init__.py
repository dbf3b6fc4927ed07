"""Seeing what a convolutional network has learned: the code behind the notebooks.

One sentence holds it together: an objective gives one number per image, one engine climbs it, and
everything else makes a start image or shows a result.

The spine, in the order in which one reads it; each room imports only what stands before it:

images        arithmetic on image arrays: standardize, resize, gray, contrast
photos        photographs in, pictures and films out
ink           one digit from drawn strokes or from a photographed page
data          digits as arrays: MNIST, Fashion-MNIST, scikit-learn's
fluctuations  random start images with structure on several length scales
models        build, save and load the CNN
geometry      receptive fields, and the trunk that runs on images of any size
activations   read what a layer says about images
objectives    what an ascent should make large
ascent        the engine: batched gradient ascent on the sphere of standardized images
oips          precursors, original input patterns (OIPs), staged scales, the layer zoo
dreams        carving a map's pattern into a photograph: whole, in tiles, cascades, octaves
training      a recipe record, digits moved and made harder, the best epoch kept
figures       charts and sheets: arrays in, matplotlib Figure out
drawings      the drawings of notebook 01
command       dreams from the command line

Wings, each for what one notebook needs; a wing imports the spine and itself:

explain       attributions, networks with another way back, attacks (08)
latent        autoencoders, the space of their vectors, scores (09)
style         a photograph in the lines of another picture (10)
compare       maps and networks held against one another, strokes of other hands (03, 05, 11)
gallery       textures without an edge, prints in ink (12)
widgets       eight explorers that answer while one drags, one file each (00 to 10)

Below all of it lies `base` (checks, faults, files, graph, interrupts, own_maps); `experiments`, beside this package,
holds the study of notebook 11.

Images are float32 arrays of shape (n, height, width, channels): in *model space* each has mean 0 and
deviation 1, in *pixel space* its values lie in 0..1.
"""

import contextlib
import faulthandler
import os
import sys
import tempfile


@contextlib.contextmanager
def _quiet_errors():
    """Nothing on the error stream while all goes well. What was said is told when it does not.

    Where the process itself dies, nobody is left to tell; Python's last words, which say where, come through.
    """
    sys.stderr.flush()
    terminal, watched = os.dup(2), faulthandler.is_enabled()
    if not watched:
        faulthandler.enable(terminal)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        except BaseException:
            said.seek(0)
            os.write(terminal, said.read())
            raise
        finally:
            os.dup2(terminal, 2)
            if not watched:
                faulthandler.disable()
            os.close(terminal)


if "tensorflow" not in sys.modules:
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _quiet_errors():  # it greets with facts about its build, at any level; in a notebook that looks like a fault
        import tensorflow
    # Each new kind of objective is compiled once; after five of them TensorFlow would warn of a slow program.
    tensorflow.get_logger().setLevel("ERROR")
