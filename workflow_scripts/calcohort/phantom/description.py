"""What phantoms are as scans, for the ranges of networks that were trained on them."""

import numpy as np

from calcohort.applicability import QUANTITIES, describe_grid
from calcohort.outcomes import UserError
from calcohort.phantom.families import FAMILIES
from calcohort.training.description import describe_scan
from calcohort.volume import Grid, Volume

MARGIN_MM = 8.0
"""Around the root, so that blur and noise at its edge are those of the whole scan."""


def describe_phantom(family: str, seed: int, *, measured: bool) -> dict[str, float | None]:
    """Describe the scan of a phantom (`applicability.QUANTITIES`).

    Parameters
    ----------
    family : str
        Of `families.FAMILIES`.
    seed : int
    measured : bool
        Whether contrast and noise are measured: the root and its surroundings are rendered on the
        scan's own voxels. None else, and where the luminance cube finds no place.

    Raises
    ------
    UserError
        When the family is unknown.
    """
    if family not in FAMILIES:
        raise UserError(f"family {family!r} is unknown; choose {', '.join(FAMILIES)}")
    kind = FAMILIES[family]
    patient = kind.draw(seed)
    scan = kind.scan_grid(patient)
    described = describe_grid(scan.shape, scan.spacing_mm)
    if not measured:
        return dict.fromkeys(QUANTITIES) | described
    grid = _around(kind.root_box(patient), scan)
    phantom = kind.render(patient, grid)
    return describe_scan(Volume(phantom.hu, grid.affine), phantom.root) | described


def _around(box_mm: np.ndarray, scan: Grid) -> Grid:
    """Return the part of a scan's grid that holds a box ``(2, 3)`` with `MARGIN_MM` around it."""
    ends = scan.index(box_mm + np.array([[-MARGIN_MM], [MARGIN_MM]]))
    first = np.clip(np.floor(ends.min(axis=0)), 0, scan.shape).astype(int)
    last = np.clip(np.ceil(ends.max(axis=0)) + 1, 0, scan.shape).astype(int)
    return scan.window(tuple(first), tuple(last - first))
