"""The families of phantoms. Their versions are frozen: a seed of a family is one patient for good.

`template` is the demo's and the evaluation's, `wide` is what the networks learn from, `second` is
built in another way, for tests alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcohort.phantom import render, render_second, render_wide
from calcohort.phantom.anatomy import draw_anatomy
from calcohort.phantom.render import Phantom
from calcohort.phantom.second import draw_second
from calcohort.phantom.wide import draw_wide
from calcohort.volume import Grid


@dataclass(frozen=True)
class Family:
    """How a family's patients are drawn and scanned.

    Attributes
    ----------
    draw : callable
        A patient of a seed.
    scan_grid, root_box, physical_calcium_mm3 : callable
        Of a patient: the scan's own grid, the box in world mm that holds the root, and the volume
        of its calcium.
    render : callable
        The `Phantom` of a patient on a grid, with or without `noise`.
    truth : callable
        The shares of a grid's voxels that a patient's root and calcium fill.
    """

    draw: Callable[[int], Any]
    scan_grid: Callable[[Any], Grid]
    root_box: Callable[[Any], np.ndarray]
    render: Callable[..., Phantom]
    truth: Callable[[Any, Grid], tuple[np.ndarray, np.ndarray]]
    physical_calcium_mm3: Callable[[Any], float]


FAMILIES = {
    "template": Family(
        draw_anatomy,
        render.scan_grid,
        render.root_box,
        render.render,
        render.truth,
        render.physical_calcium_mm3,
    ),
    "wide": Family(
        draw_wide,
        render_wide.scan_grid,
        render_wide.root_box,
        render_wide.render,
        render_wide.truth,
        render_wide.physical_calcium_mm3,
    ),
    "second": Family(
        draw_second,
        render_second.scan_grid,
        render_second.root_box,
        render_second.render,
        render_second.truth,
        render_second.physical_calcium_mm3,
    ),
}
