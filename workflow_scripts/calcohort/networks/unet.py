"""The 3D U-Net of both networks, drawn from the input at the top left to the softmax.

    input ── block ─────────────────────────────────────── join ── conv 3³ ── softmax
               └ down ── block ──────────────────── join ─ up ┘
                          └ down ── …  ── block ─ up ┘

Paper 000, section IV and Fig. 4: five down-sampling steps (two convolution blocks each, the first
with stride 2) and five up-sampling steps (transposed convolution, concatenation with the skip
connection, two convolution blocks). It follows the public parent design, NVIDIA's 3D U-Net for
medical images (DeepLearningExamples, Apache-2.0): 32, 64, 128, 256, 320, 320 filters, instance
normalisation, leaky ReLU. Only `keras.layers` and `keras.ops` are used, so the same weights run
on every Keras backend.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path

import keras
from keras import layers, ops

from calcohort.networks.plan import level_filters
from calcohort.outcomes import UserError


@keras.saving.register_keras_serializable(package="calcohort")
class InstanceNormalisation(layers.Layer):
    """Bring each channel of each sample to mean 0 and variance 1, then scale and shift it.

    ``y = scale · (x − mean) / sqrt(variance + epsilon) + shift``, with the mean and the variance
    over the three spatial axes, in float32. The mean is taken one axis at a time: over 15 million
    voxels a single float32 sum drifts by 1e-4, this by 2e-6.

    Parameters
    ----------
    epsilon : float
        Added to the variance.
    """

    def __init__(self, epsilon: float = 1e-6, **kwargs) -> None:
        super().__init__(**kwargs)
        self.epsilon = epsilon

    def build(self, input_shape: tuple) -> None:
        """Make one scale and one shift per channel, float32 at any precision."""
        options = {"shape": (input_shape[-1],), "dtype": "float32", "autocast": False}
        self.scale = self.add_weight(name="scale", initializer="ones", **options)
        self.shift = self.add_weight(name="shift", initializer="zeros", **options)

    def call(self, x):
        """Normalise ``x [batch, k, j, i, channel]``."""
        values = ops.cast(x, "float32")
        mean = _mean(values)
        variance = _mean(ops.square(values - mean))
        scale = self.scale * ops.rsqrt(variance + self.epsilon)
        return ops.cast(values * scale + (self.shift - mean * scale), x.dtype)

    def get_config(self) -> dict:
        """Return what is needed to make the layer again."""
        return super().get_config() | {"epsilon": self.epsilon}


def _mean(x):
    for axis in (3, 2, 1):
        x = ops.mean(x, axis=axis, keepdims=True)
    return x


def build_unet(
    filters: int | Sequence[int] = 32,
    depth: int = 5,
    input_shape: tuple[int | None, int | None, int | None] = (None, None, None),
    classes: int = 2,
    kernel_initializer: str = "glorot_uniform",
    dtype: str | None = None,
) -> keras.Model:
    """Build the U-Net.

    Parameters
    ----------
    filters : int or sequence of int
        Filters of the first level, or of each (`plan.level_filters`); 32 is the paper's.
    depth : int
        Steps down, and up; 5 is the paper's. Every side must be a multiple of ``2**depth``.
    input_shape : tuple of int or None
        Slices, rows, columns; None where they vary.
    classes : int
        Channels of the softmax; the background is the first.
    kernel_initializer : str
        "zeros" saves time where weights are loaded anyway.
    dtype : str, optional
        Keras's dtype policy, for instance "mixed_bfloat16"; weights, norms and softmax stay
        float32.

    Returns
    -------
    keras.Model
        ``[batch, k, j, i, 1]`` to class probabilities ``[batch, k, j, i, classes]``, float32.
    """

    def convolve(x, width, stride=1, name=None):
        x = layers.Conv3D(width, 3, stride, "same", use_bias=False, **options)(x)
        x = InstanceNormalisation(dtype=dtype)(x)
        return layers.LeakyReLU(negative_slope=0.01, dtype=dtype, name=name)(x)

    def block(x, width, stride=1):
        return convolve(convolve(x, width, stride), width, name=f"block_{next(number)}")

    def up(x, width):
        return layers.Conv3DTranspose(width, 2, 2, **options)(x)

    options = {"kernel_initializer": kernel_initializer, "dtype": dtype}
    number = itertools.count()

    first, *deeper = level_filters(filters, depth)
    image = layers.Input((*input_shape, 1))
    x = block(image, first)

    skips = []
    for width in deeper:
        skips.append(x)
        x = block(x, width, stride=2)

    for skip in reversed(skips):
        width = skip.shape[-1]
        x = layers.Concatenate(dtype=dtype)([up(x, width), skip])
        x = block(x, width)

    x = layers.Conv3D(classes, 3, padding="same", **options)(x)
    return keras.Model(image, layers.Softmax(dtype="float32")(x), name="unet")


def load_weights(
    model: keras.Model, weights: Path, filters: int | Sequence[int], depth: int
) -> None:
    """Load weights into a U-Net (`build_unet`) of these filters and this depth.

    Raises
    ------
    UserError
        When the file is missing, broken, or of a network of another width or depth.
    """
    try:
        model.load_weights(weights)
    except (ValueError, KeyError, OSError) as error:
        raise UserError(
            f"the weights {weights} cannot be read as those of a U-Net of {filters} filters and "
            f"depth {depth}; name other weights, or correct filters and depth"
        ) from error
