"""What goes wrong in a climb, told in one sentence: always a ValueError. Knows nothing of how the climb is made."""

import numpy as np
import tensorflow as tf


def check_images(images, made):
    """Refuse images with NaN or infinite values; `made` steps led to them.

    The values of the objective alone would not tell: a ReLU makes 0 of NaN on some processors and not on others.
    """
    if not np.isfinite(images).all():
        raise ValueError(f"the images hold NaN or infinite values after {made} steps; project, precondition and the "
                         "gradient of the objective must give numbers")


def check_values(values, images, made):
    """Refuse values of an objective that are not one finite number for each image; `made` steps led to the images."""
    if values.shape != images.shape[:1]:
        raise ValueError(f"the objective gives values of shape {values.shape} for {len(images)} images; it must give "
                         f"one number for each, shape ({len(images)},)")
    if not np.isfinite(values).all():
        wrong = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"the objective gives {values[wrong]} for image {wrong} after {made} steps; it must give a "
                         "finite number wherever the climb goes")


def explain(attempt, images):
    """Find the sentence for a compiled step that failed: `attempt` makes it again without compilation.

    Then the error is the objective's own and not a page of TensorFlow's. `attempt` returns the values, and anything
    else. Nothing is raised if the attempt succeeds.
    """
    shape = tuple(images.shape)
    try:
        values, _ = attempt()
    except tf.errors.OpError as error:
        raise ValueError(f"the objective fails for images of shape {shape}: {error.message.splitlines()[0]}") from None
    except ValueError as error:
        raise error from None
    except TypeError as error:
        raise ValueError(f"the objective fails for images of shape {shape}: {error}") from error
    check_values(np.asarray(values), images, 0)
