"""Calcium volume against threshold, scan by scan, with the points that the rules choose."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from calcohort.agreement.plots import BLUE, GREY, STYLE, VERMILION
from calcohort.laboratory.voxels import RootVoxels
from calcohort.outcomes import atomic_path

LOWEST_HU, HIGHEST_HU, STEP_HU = 300, 1300, 10
THRESHOLDS_HU = np.arange(LOWEST_HU, HIGHEST_HU + 1, STEP_HU)
ROWS, COLUMNS = 6, 4
GREEN = "#009E73"


@dataclass(frozen=True)
class Curve:
    """One scan's curve.

    Attributes
    ----------
    scan_id : str
    luminance_hu : float
        Drawn as a dotted line: below it blood is counted as calcium.
    volumes_mm3 : ndarray
        At `THRESHOLDS_HU`.
    chosen : tuple of float
        Threshold in HU and volume in mm³ of the main rule.
    reference_hu, reference_mm3 : float or None
        The reader's threshold and the volume at it, where the sheet gives one.
    """

    scan_id: str
    luminance_hu: float
    volumes_mm3: np.ndarray
    chosen: tuple[float, float]
    reference: tuple[float, float] | None


def make_curve(
    scan_id: str, voxels: RootVoxels, chosen_hu: float, reference_hu: float | None
) -> Curve:
    """Make a scan's curve of its voxels; `reference_hu` None where there is no reference."""
    points = [chosen_hu, *([] if reference_hu is None else [reference_hu])]
    volumes = voxels.volumes_mm3(np.array([*THRESHOLDS_HU, *points]))
    chosen, *reference = zip(points, volumes[THRESHOLDS_HU.size :].tolist(), strict=True)
    return Curve(
        scan_id,
        voxels.numbers.luminance_hu,
        volumes[: THRESHOLDS_HU.size],
        chosen,
        reference[0] if reference else None,
    )


def draw_curves(folder: Path, curves: Sequence[Curve], rule: str) -> list[Path]:
    """Draw the curves on pages `curves_{number}.png` of 24 scans, in their order."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    pages = []
    for first in range(0, len(curves), ROWS * COLUMNS):
        page = curves[first : first + ROWS * COLUMNS]
        path = folder / f"curves_{first // (ROWS * COLUMNS) + 1:03d}.png"
        with mpl.rc_context(STYLE), atomic_path(path) as temporary:
            draw_page(page, rule).savefig(temporary, dpi=110)
        pages.append(path)
    return pages


def draw_page(curves: Sequence[Curve], rule: str) -> Figure:
    """Draw up to 24 curves on one scale: volume on a logarithmic axis that includes 0."""
    rows = -(-len(curves) // COLUMNS)
    height = 1.1 + 1.75 * rows
    figure = Figure(figsize=(10, height))
    FigureCanvasAgg(figure)
    grid = figure.subplots(rows, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes, curve in zip(grid, curves, strict=False):
        _draw(axes, curve, rule)
    for empty in range(len(curves), len(grid)):
        grid[empty].set_axis_off()
        grid[empty - COLUMNS].tick_params(labelbottom=True)
    ticks = [0, 1, 10, 100, 1000, 10_000]
    grid[0].set_yscale("symlog", linthresh=1)
    grid[0].set_yticks(ticks, [f"{tick}" for tick in ticks])
    grid[0].set(xlim=(LOWEST_HU, HIGHEST_HU), ylim=(-0.2, 100_000))
    figure.supxlabel("Threshold (HU)", fontsize=10)
    figure.supylabel("Calcium volume (mm³)", fontsize=10)
    handles = dict(
        pair for axes in grid for pair in zip(*axes.get_legend_handles_labels()[::-1], strict=True)
    )
    figure.legend(handles.values(), handles.keys(), loc="upper center", ncols=4, frameon=False)
    figure.subplots_adjust(
        left=0.08, right=0.985, bottom=0.6 / height, top=1 - 0.6 / height, wspace=0.06, hspace=0.22
    )
    return figure


def _draw(axes: Axes, curve: Curve, rule: str) -> None:
    axes.axvline(curve.luminance_hu, color=GREY, linestyle=":", linewidth=1, label="luminance Lm")
    axes.plot(THRESHOLDS_HU, curve.volumes_mm3, color=BLUE, linewidth=1.4, label="volume")
    style = {"linestyle": "", "zorder": 3}
    if curve.reference:
        axes.plot(*curve.reference, marker="D", color=GREEN, ms=5, label="reader", **style)
    axes.plot(*curve.chosen, marker="o", color=VERMILION, ms=5, label=rule, **style)
    axes.set_title(curve.scan_id, fontsize=8, loc="left", parse_math=False)
    axes.tick_params(labelsize=8)
