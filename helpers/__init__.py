"""Seeing what a convolutional network has learned: the code behind the notebooks.

One sentence holds it together: an objective gives one number per image, one engine climbs it, and
everything else makes a start image or shows a result.

checks        refuses an unsuitable argument in one sentence: name, value, remedy
files         writes a file whole or not at all
images        arithmetic on image arrays: standardize, resize, gray, contrast
data          digits as arrays: MNIST, Fashion-MNIST, scikit-learn's
ink           one digit from drawn strokes or from a photographed page
handwriting   strokes that other hands add: the bar of a seven, the upstroke of a one
photos        photographs in, pictures and films out
models        build, save and load the CNN
geometry      receptive fields, and the trunk that runs on images of any size
training      a recipe record, digits moved and made harder, the best epoch kept
graph         walks the graph of a model: which layer is called on what
activations   read what a layer says about images
attributions  which pixels an answer rests on
twins         the same weights, another rule for signals on their way down
attacks       the smallest change that changes an answer, the worst within a radius
objectives    what an ascent should make large
fluctuations  random start images with structure on several length scales
ascent        the engine: batched gradient ascent on the sphere of standardized images
matching      which map of one network does the work of which map of another
oips          precursors, original input patterns (OIPs), staged scales, the layer zoo
dreams        carving a map's pattern into a photograph: whole, in tiles, cascades, octaves; the aims of tiles
dream         one dream from the command line: python -m helpers.dream me.jpg -o dream.png
textures      a map's pattern without an edge: tiles that continue, endless falls
prints        gray planes as inks on paper
autoencoders  images squeezed into a few numbers and painted again from them
latent        where these numbers lie, new ones, walks and climbs among them
scores        how good generated images are
measures      numbers for a claim: what maps, patterns and removals are like
sweeps        any number of trainings, in processes or on a cluster, collected in a table
study         the networks of notebook 11 and what is measured on each
style         the forms of a photo in the textures of a painting
paintings     two paintings and a page of handwriting, as styles
vgg           VGG19, a network of color photographs, to compare with
figures       charts and sheets: arrays in, matplotlib Figure out
drawings      the drawings of notebook 01
widgets       explorers that answer while you drag: ipywidgets around all of it

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
