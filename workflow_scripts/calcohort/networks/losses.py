"""What the networks are trained to minimise (paper 000, section IV.A)."""

from keras import ops

EPSILON = 1e-7


def dice_and_cross_entropy(truth, probability):
    """Loss ``L = (1 − Dice) + CE`` of the paper, one number per sample.

    With the truth ``t`` (the foreground's share of a voxel, 0 to 1) and the softmax's foreground
    probability ``p`` of the n voxels::

        Dice = (Σ p + Σ t − Σ |p − t| + 1) / (Σ p + Σ t + 1)
        CE   = −(1/n) · Σ (t · log p + (1 − t) · log(1 − p))

    Dice is soft, without squares, of the foreground alone; the 1 (one voxel) makes two empty masks
    agree. Where every ``t`` is 0 or 1 its numerator is the paper's ``2 · Σ p·t + 1``; that one
    would be largest for a ``p`` of 0 or 1 also where ``t`` lies between them (Wang et al., Dice
    semimetric losses, MICCAI 2023). CE is the mean over voxels, both classes counted.

    Parameters
    ----------
    truth : tensor, ``[batch, k, j, i]``
        Share of the foreground, 0 to 1.
    probability : tensor, ``[batch, k, j, i, 2]``
        Softmax of background and foreground.

    Returns
    -------
    tensor of float32, ``[batch]``
    """
    t = ops.cast(truth, "float32")
    p = ops.cast(probability[..., 1], "float32")
    voxels = (1, 2, 3)
    both = ops.sum(p, axis=voxels) + ops.sum(t, axis=voxels)
    dice = (both - ops.sum(ops.abs(p - t), axis=voxels) + 1) / (both + 1)
    log_p, log_rest = (ops.log(ops.clip(q, EPSILON, 1)) for q in (p, 1 - p))
    cross_entropy = -ops.mean(t * log_p + (1 - t) * log_rest, axis=voxels)
    return 1 - dice + cross_entropy


def dice_score(truth, probability, threshold: float = 0.5):
    """Dice of foregrounds, ``2·|A∩B| / (|A| + |B|)``: probability above `threshold`, truth above ½.

    NaN when both are empty.
    """
    t = ops.cast(ops.cast(truth, "float32") >= 0.5, "float32")
    a = ops.cast(probability[..., 1] >= threshold, "float32")
    voxels = (1, 2, 3)
    return 2 * ops.sum(a * t, axis=voxels) / (ops.sum(a, axis=voxels) + ops.sum(t, axis=voxels))
