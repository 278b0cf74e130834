"""What the networks are trained to minimise (paper 000, section IV.A)."""

from keras import ops

EPSILON = 1e-7


def dice_and_cross_entropy(truth, probability):
    """Loss ``L = (1 − Dice) + CE`` of the paper, one number per sample.

    With the truth ``t`` (0 or 1) and the softmax's foreground probability ``p`` of the n voxels::

        Dice = (2 · Σ p·t + 1) / (Σ p + Σ t + 1)
        CE   = −(1/n) · Σ (t · log p + (1 − t) · log(1 − p))

    Dice is soft, without squares, of the foreground alone; the 1 (one voxel) makes two empty masks
    agree. CE is the mean over voxels, both classes counted.

    Parameters
    ----------
    truth : tensor, ``[batch, k, j, i]``
        1 in the foreground, 0 elsewhere.
    probability : tensor, ``[batch, k, j, i, 2]``
        Softmax of background and foreground.

    Returns
    -------
    tensor of float32, ``[batch]``
    """
    t = ops.cast(truth, "float32")
    p = ops.cast(probability[..., 1], "float32")
    voxels = (1, 2, 3)
    overlap = ops.sum(p * t, axis=voxels)
    dice = (2 * overlap + 1) / (ops.sum(p, axis=voxels) + ops.sum(t, axis=voxels) + 1)
    of_truth = ops.clip(ops.where(t > 0.5, p, 1 - p), EPSILON, 1)
    cross_entropy = -ops.mean(ops.log(of_truth), axis=voxels)
    return 1 - dice + cross_entropy


def dice_score(truth, probability, threshold: float = 0.5):
    """Dice of the thresholded foreground, ``2·|A∩B| / (|A| + |B|)``; NaN when both are empty."""
    t = ops.cast(truth, "float32")
    a = ops.cast(probability[..., 1] >= threshold, "float32")
    voxels = (1, 2, 3)
    return 2 * ops.sum(a * t, axis=voxels) / (ops.sum(a, axis=voxels) + ops.sum(t, axis=voxels))
