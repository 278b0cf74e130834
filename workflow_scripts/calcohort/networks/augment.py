"""Random changes of training samples, each with a probability of 0.5.

`draw_patch`, `shift_brightness` and `flip` are those of paper 000, section IV.A; `deform`,
`cut_field` and `roughen` go beyond it.
"""

import numpy as np
from scipy import ndimage
from scipy.spatial.transform import Rotation

from calcohort.volume import bounding_slices

PROBABILITY = 0.5
GEOMETRY = ("rotation", "scaling", "elastic")
EXTRA = (*GEOMETRY, "field", "gamma", "contrast", "contrast_mixing", "blur", "noise")
"""Names of the augmentations beyond the paper's."""
BESIDE_ROOT = 2
"""Voxels that a cut leaves around the root."""
BRIGHTNESS = 0.1
"""Largest shift, of a range of 1."""
ELASTIC_NODES, CURVE_NODES = 5, 6


def draw_patch(
    image: np.ndarray,
    label: np.ndarray,
    shape: tuple[int, int, int],
    rng: np.random.Generator,
    smaller_by: int = 32,
    around_root: float = 0.8,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut a patch of random size and place.

    Parameters
    ----------
    image, label : ndarray, ``[k, j, i]``
        A sample (`networks.data.Sample`).
    shape : tuple of int
        The patch's shape. A side longer than the sample becomes the next multiple of `smaller_by`
        that holds it, and the sample is padded as at inference: the image by its edge, the label by
        background. Half of all patches are `smaller_by` voxels smaller on every side that is longer
        than that.
    rng : numpy.random.Generator
        The source of chance.
    smaller_by : int
        A multiple of what the network's sides must be.
    around_root : float
        Part of the patches whose centre lies near a voxel of the label; others lie anywhere.

    Returns
    -------
    (ndarray, ndarray)
        Of `image` and `label`.
    """
    shape = np.minimum(shape, -(-np.array(image.shape) // smaller_by) * smaller_by)
    if (shape > image.shape).any():
        missing = [(0, max(n - m, 0)) for n, m in zip(shape, image.shape, strict=True)]
        image, label = np.pad(image, missing, mode="edge"), np.pad(label, missing)
    if rng.random() < PROBABILITY:
        shape = np.maximum(shape - smaller_by, smaller_by)
    room = np.array(image.shape) - shape
    first = rng.integers(0, room + 1)
    if rng.random() < around_root:
        labelled = _random_voxel(label, rng)
        if labelled is not None:
            first = np.clip(labelled - rng.integers(shape // 4, shape * 3 // 4), 0, room)
    window = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
    return image[window], label[window]


def _random_voxel(label: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    slices = np.flatnonzero((label >= 0.5).any(axis=(1, 2)))
    if not slices.size:
        return None
    k = rng.choice(slices)
    return np.array([k, *rng.choice(np.argwhere(label[k] >= 0.5))])


def shift_brightness(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift the brightness of a normalised image.

    Parameters
    ----------
    image : ndarray, ``[k, j, i]``
        Intensities in [0, 1].
    rng : numpy.random.Generator
        The source of chance.

    Returns
    -------
    ndarray of float32, ``[k, j, i]``
        Intensities that may leave [0, 1] by the shift.
    """
    image = image.astype(np.float32)
    if rng.random() < PROBABILITY:
        image = image + np.float32(rng.uniform(-BRIGHTNESS, BRIGHTNESS))
    return image


def flip(
    image: np.ndarray, label: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror left and right."""
    if rng.random() < PROBABILITY:
        return image[..., ::-1], label[..., ::-1]
    return image, label


def deform(
    image: np.ndarray,
    label: np.ndarray,
    rng: np.random.Generator,
    rotation: float = 0,
    scaling: float = 0,
    elastic: float = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """Turn, scale and bend a patch about its centre, each with a probability of 0.5.

    Parameters
    ----------
    image, label : ndarray, ``[k, j, i]``
        A patch.
    rng : numpy.random.Generator
        The source of chance.
    rotation : float
        Largest turn about each axis, degrees.
    scaling : float
        Largest change of size: 0.1 draws a factor from 0.9 to 1.1.
    elastic : float
        Standard deviation of the displacements of a grid of 5³ nodes, voxels; cubic between them.

    Returns
    -------
    (ndarray of float32, ndarray of float32)
        By linear interpolation; edge values outside.
    """
    chosen = [amount * (rng.random() < PROBABILITY) for amount in (rotation, scaling, elastic)]
    if not any(chosen):
        return image, label
    turn = Rotation.from_euler("zyx", rng.uniform(-chosen[0], chosen[0], 3), degrees=True)
    matrix = turn.as_matrix() / (1 + rng.uniform(-chosen[1], chosen[1]))
    centre = (np.array(image.shape) - 1) / 2
    index = np.indices(image.shape, dtype=np.float32)
    moved = np.tensordot(matrix, index - centre[:, None, None, None], 1)
    moved += centre[:, None, None, None]
    if chosen[2]:
        zoom = np.array(image.shape) / ELASTIC_NODES
        for axis in range(3):
            nodes = rng.normal(0, chosen[2], (ELASTIC_NODES,) * 3)
            moved[axis] += ndimage.zoom(nodes, zoom, order=3, mode="nearest", grid_mode=True)
    return tuple(
        ndimage.map_coordinates(array.astype(np.float32), moved, order=1, mode="nearest")
        for array in (image, label)
    )


def cut_field(
    image: np.ndarray, label: np.ndarray, rng: np.random.Generator, part: float
) -> np.ndarray:
    """Cut the scan's field short, with a probability of 0.5.

    Beyond a random box around the root the image is air, as where a scan was cropped or lies in a
    larger field, or repeats the box's edge, as padding does; one is as likely as the other.

    Parameters
    ----------
    image, label : ndarray, ``[k, j, i]``
        A patch; without root in it, it stays whole.
    rng : numpy.random.Generator
        The source of chance.
    part : float
        Largest part of the way from each end of the patch to the root that is cut; 1 is all but
        `BESIDE_ROOT` voxels.

    Returns
    -------
    ndarray, ``[k, j, i]``
    """
    root = label >= 0.5
    if rng.random() >= PROBABILITY or not root.any():
        return image
    kept = []
    for side, n in zip(bounding_slices(root), image.shape, strict=True):
        room = np.maximum([side.start - BESIDE_ROOT, n - side.stop - BESIDE_ROOT], 0)
        low, high = np.rint(rng.uniform(0, part, 2) * room).astype(int)
        kept.append((low, n - high))
    inner = image[tuple(slice(*ends) for ends in kept)]
    beyond = [(low, n - high) for (low, high), n in zip(kept, image.shape, strict=True)]
    if rng.random() < PROBABILITY:
        return np.pad(inner, beyond, constant_values=0)
    return np.pad(inner, beyond, mode="edge")


def roughen(
    image: np.ndarray,
    rng: np.random.Generator,
    gamma: float = 0,
    contrast: float = 0,
    contrast_mixing: float = 0,
    blur: float = 0,
    noise: float = 0,
) -> np.ndarray:
    """Change the contrast of a patch, blur it, add noise; each with a probability of 0.5.

    Parameters
    ----------
    image : ndarray, ``[k, j, i]``
        Intensities in [0, 1].
    rng : numpy.random.Generator
        The source of chance.
    gamma : float
        Largest change of the exponent: 0.25 draws one from 1 / 1.25 to 1.25.
    contrast : float
        Largest stretch about the mean: 0.15 draws a factor from 0.85 to 1.15.
    contrast_mixing : float
        Largest shift of the nodes of a rising curve through which all intensities go, so that
        tissues change their contrast among each other.
    blur : float
        Largest standard deviation of the Gaussian, voxels.
    noise : float
        Largest standard deviation of the noise, in intensities.

    Returns
    -------
    ndarray of float32, ``[k, j, i]``
    """
    image = image.astype(np.float32)
    if gamma and rng.random() < PROBABILITY:
        image = image ** np.float32(rng.uniform(1 / (1 + gamma), 1 + gamma))
    if contrast and rng.random() < PROBABILITY:
        mean = image.mean()
        image = mean + (image - mean) * np.float32(rng.uniform(1 - contrast, 1 + contrast))
    if contrast_mixing and rng.random() < PROBABILITY:
        nodes = np.linspace(0, 1, CURVE_NODES)
        bent = np.sort(nodes + rng.uniform(-contrast_mixing, contrast_mixing, CURVE_NODES))
        image = np.interp(image, nodes, bent).astype(np.float32)
    if blur and rng.random() < PROBABILITY:
        image = ndimage.gaussian_filter(image, rng.uniform(0, blur))
    if noise and rng.random() < PROBABILITY:
        image = image + rng.normal(0, rng.uniform(0, noise), image.shape).astype(np.float32)
    return image
