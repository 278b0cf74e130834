"""The root's voxels of one scan, stored so that any threshold can be scored again.

`root_voxels.npz` (numpy's zip, compressed) holds `hu`, the HU of the root's voxels in ``[k, j, i]``
order; `root_bits`, the root in its bounding box (`shape_kji`), one bit a voxel, for lesions; and
the numbers of `Numbers`. Equal input gives equal bytes.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from calcohort.measure.lesions import measure_lesions
from calcohort.outcomes import UserError, atomic_path
from calcohort.volume import Volume, bounding_slices

OUTFLOW_SHARE = 0.2


@dataclass(frozen=True)
class Numbers:
    """What formulas and volumes need beside the voxels.

    Attributes
    ----------
    luminance_hu, luminance_sd_hu : float
        Lm, and the SD of its cube.
    outflow_hu : float
        See `measure_outflow`.
    voxel_volume_mm3 : float
    connectivity, min_lesion_voxels : int
        See `measure.lesions`.
    """

    luminance_hu: float
    luminance_sd_hu: float
    outflow_hu: float
    voxel_volume_mm3: float
    connectivity: int
    min_lesion_voxels: int


@dataclass(frozen=True)
class RootVoxels:
    """The root's voxels.

    Attributes
    ----------
    hu : ndarray, (n,)
        In ``[k, j, i]`` order of the root.
    root : ndarray of bool, ``[k, j, i]``
        The root in its bounding box.
    numbers : Numbers
    """

    hu: np.ndarray
    root: np.ndarray
    numbers: Numbers

    def volumes_mm3(self, thresholds_hu: np.ndarray) -> np.ndarray:
        """Calcium volume at each threshold, as `measure.measure_lesions` counts it.

        Parameters
        ----------
        thresholds_hu : ndarray, (t,)

        Returns
        -------
        ndarray, (t,)
        """
        if self.numbers.min_lesion_voxels > 1:
            found = self.lesions(thresholds_hu)
            return np.array([findings["calcium_volume_mm3"] for findings in found])
        below = np.searchsorted(np.sort(self.hu), thresholds_hu, side="left")
        return (self.hu.size - below) * self.numbers.voxel_volume_mm3

    def lesions(self, thresholds_hu: Iterable[float]) -> list[dict[str, Any]]:
        """Measure the lesions at each threshold: findings of `measure.measure_lesions`."""
        hu = np.zeros(self.root.shape, self.hu.dtype)
        hu[self.root] = self.hu
        of = self.numbers
        how = (of.voxel_volume_mm3, of.connectivity, of.min_lesion_voxels)
        return [measure_lesions(hu, self.root, t, *how)[0] for t in thresholds_hu]


def take_voxels(
    ct: Volume,
    root: np.ndarray,
    *,
    luminance_hu: float,
    luminance_sd_hu: float,
    connectivity: int,
    min_lesion_voxels: int,
) -> RootVoxels:
    """Take the root's voxels out of a scan; `root` on the grid of `ct` and not empty."""
    box = bounding_slices(root)
    numbers = Numbers(
        luminance_hu=luminance_hu,
        luminance_sd_hu=luminance_sd_hu,
        outflow_hu=measure_outflow(ct, root),
        voxel_volume_mm3=ct.grid.voxel_volume_mm3,
        connectivity=connectivity,
        min_lesion_voxels=min_lesion_voxels,
    )
    return RootVoxels(ct.array[root], root[box], numbers)


def measure_outflow(ct: Volume, root: np.ndarray) -> float:
    """Attenuation next to the outflow tract: median HU of the lowest fifth of the root's height.

    The mask ends at the annulus, where the outflow tract begins; up is world superior.
    """
    height_mm = ct.grid.world(np.argwhere(root))[:, 2]
    low, high = height_mm.min(), height_mm.max()
    lowest = height_mm <= low + OUTFLOW_SHARE * (high - low)
    return float(np.median(ct.array[root][lowest]))


def write_voxels(path: Path, voxels: RootVoxels) -> None:
    """Write `root_voxels.npz`, whole or not at all."""
    with atomic_path(path) as temporary:
        np.savez_compressed(
            temporary,
            hu=voxels.hu,
            root_bits=np.packbits(voxels.root),
            shape_kji=np.array(voxels.root.shape),
            **asdict(voxels.numbers),
        )


def read_voxels(path: Path) -> RootVoxels:
    """Read what `write_voxels` wrote.

    Raises
    ------
    UserError
        When the file is damaged or of another kind.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            shape = tuple(stored["shape_kji"])
            bits = np.unpackbits(stored["root_bits"], count=int(np.prod(shape)))
            numbers = Numbers(**{name: stored[name].item() for name in Numbers.__annotations__})
            return RootVoxels(stored["hu"], bits.reshape(shape).astype(bool), numbers)
    except (BadZipFile, KeyError, ValueError, EOFError) as error:
        raise UserError(
            f"{path} is damaged ({error}); delete the scan's folder to have it measured again"
        ) from error
