"""A U-Net whose training keeps only what joins its blocks, and computes the rest again."""

from collections.abc import Callable

import keras


def recomputing(model: keras.Model) -> Callable:
    """Return a call of a U-Net that takes less memory and more time to differentiate.

    The backward pass keeps the blocks' outputs alone and computes each block's inside again when it
    needs it (Chen et al., Training deep nets with sublinear memory cost, arXiv:1604.06174).

    Parameters
    ----------
    model : keras.Model
        As `build_unet` makes it; its weights are shared, not copied.

    Returns
    -------
    callable
        As ``model(x)``: the same probabilities and, but for rounding, the same gradients.
    """
    ends = [layer.output for layer in model.layers if layer.name.startswith("block_")]
    depth = len(ends) // 2
    skips = ends[:depth]
    down = [
        keras.Model(first, last)
        for first, last in zip([model.input, *skips], ends[: depth + 1], strict=True)
    ]
    up = [
        keras.Model([below, skip], last)
        for below, skip, last in zip(
            ends[depth:-1], reversed(skips), [*ends[depth + 1 : -1], model.output], strict=True
        )
    ]
    down, up = ([keras.remat(part) for part in parts] for parts in (down, up))

    def call(x):
        outputs = []
        for part in down:
            x = part(x)
            outputs.append(x)
        x = outputs.pop()
        for part in up:
            x = part([x, outputs.pop()])
        return x

    return call
