"""Random changes of training samples (paper 000, section IV.A), each with a probability of 0.5."""

import numpy as np

PROBABILITY = 0.5


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
        A sample.
    shape : tuple of int
        The patch's shape, at most the sample's; half of all patches are `smaller_by` voxels
        smaller on every side.
    rng : numpy.random.Generator
        The source of chance.
    smaller_by : int
        A multiple of what the network's sides must be.
    around_root : float
        Part of the patches whose centre lies near a voxel of the label; others lie anywhere.

    Returns
    -------
    (ndarray, ndarray)
        Views of `image` and `label`.
    """
    shape = np.array(shape)
    if rng.random() < PROBABILITY:
        shape = shape - smaller_by
    room = np.array(image.shape) - shape
    first = rng.integers(0, room + 1)
    if rng.random() < around_root:
        labelled = _random_voxel(label, rng)
        if labelled is not None:
            first = np.clip(labelled - rng.integers(shape // 4, shape * 3 // 4), 0, room)
    window = tuple(slice(a, a + n) for a, n in zip(first, shape, strict=True))
    return image[window], label[window]


def _random_voxel(label: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    slices = np.flatnonzero(label.any(axis=(1, 2)))
    if not slices.size:
        return None
    k = rng.choice(slices)
    return np.array([k, *rng.choice(np.argwhere(label[k]))])


def vary_luminance(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Shift the brightness, stretch the contrast and bend the gamma of a normalised image.

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
        image = image ** np.float32(rng.uniform(0.8, 1.25))
    if rng.random() < PROBABILITY:
        mean = image.mean()
        image = mean + (image - mean) * np.float32(rng.uniform(0.85, 1.15))
    if rng.random() < PROBABILITY:
        image = image + np.float32(rng.uniform(-0.1, 0.1))
    return image


def flip(
    image: np.ndarray, label: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Mirror left and right."""
    if rng.random() < PROBABILITY:
        return image[..., ::-1], label[..., ::-1]
    return image, label
