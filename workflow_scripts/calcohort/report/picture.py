"""The QC picture of a scan: three planes, the root's outline, the calcium, and its outcome."""

import textwrap
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image

from calcohort.outcomes import OK, atomic_path
from calcohort.volume import Volume, bounding_slices

WIDTH_PX, HEIGHT_PX, DPI = 1000, 700, 100
WINDOW_HU, LEVEL_HU = 1500, 500
ROOT_COLOUR, CALCIUM_COLOUR = "#56B4E9", "#E69F00"
ZOOM_MARGIN_MM = 10.0
BARS_MM = (5, 10, 20, 50, 100)
GREYS = 154
STATUS_COLOURS = {"measured": "#1B5E3B", "excluded": "#8A3B00", "failed": "#7A1030"}
SHADOW = (withStroke(linewidth=2, foreground="black"),)

PLANES = (
    ("axial", "A", "P", "R", "L"),
    ("coronal", "H", "F", "R", "L"),
    ("sagittal", "H", "F", "A", "P"),
)
"""Name and letters at the top, bottom, left and right of the plane across axis k, j and i.

Every plane is drawn with its first remaining axis upwards and its second one to the *left*: the
patient's right is on the image's left, and the patient's front on the left of sagittal planes.
"""


def draw_qc(
    ct: Volume | None,
    root: np.ndarray | None,
    calcium: np.ndarray | None,
    record: dict[str, Any],
    path: Path,
) -> None:
    """Draw the QC picture of one scan as PNG, 1000 × 700 pixels; see `compose_qc`.

    The PNG has a palette (`_palette`): a third of the size of full colour.
    """
    canvas = FigureCanvasAgg(compose_qc(ct, root, calcium, record))
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image = image.quantize(palette=_palette(), dither=Image.Dither.NONE)
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG", optimize=True, dpi=(DPI, DPI))


def _palette() -> Image.Image:
    """Palette of 256: `GREYS` steps for the scan, the rest for overlays blended with it."""
    greys = np.repeat(np.linspace(0, 255, GREYS)[:, None], 3, axis=1)
    blends = [
        alpha * 255 * np.array(to_rgb(colour)) + (1 - alpha) * grey
        for colour in (ROOT_COLOUR, CALCIUM_COLOUR)
        for alpha in np.linspace(1 / 12, 1, 12)
        for grey in (0, 85, 170, 255)
    ]
    words = [
        alpha * 255 * np.array(to_rgb(colour)) + (1 - alpha) * 255
        for colour in STATUS_COLOURS.values()
        for alpha in (0.5, 1)
    ]
    colours = np.concatenate([greys, blends, words]).round().astype(np.uint8)
    image = Image.new("P", (1, 1))
    image.putpalette(colours.tobytes())
    return image


def compose_qc(
    ct: Volume | None,
    root: np.ndarray | None,
    calcium: np.ndarray | None,
    record: dict[str, Any],
) -> Figure:
    """Compose what a person needs to judge one scan.

    Above, three planes through the root's centre; below, the root enlarged, each plane through the
    slice with the most calcium (without calcium, through the root's centre). Without a root the
    scan's three mid planes are drawn, and without a scan a card that says why.

    Parameters
    ----------
    ct : Volume or None
        The scan, HU, canonical orientation (``[k, j, i]`` towards head, front, patient's right);
        may be memory-mapped, only slices are read.
    root, calcium : ndarray of bool, ``[k, j, i]``, or None
        Masks on the scan's grid.
    record : dict
        Of the stage measure: `scan_id`, `status`; where the status is `ok` also `luminance_hu`,
        `root_volume_mm3`, `mask_rule` and `rules`; otherwise `stage` and `detail`.

    Returns
    -------
    Figure
    """
    figure = Figure(figsize=(WIDTH_PX / DPI, HEIGHT_PX / DPI), dpi=DPI, facecolor="white")
    ok = record["status"] == OK
    status = "measured" if ok else record["status"]
    _text(figure, 0.02, 0.972, record["scan_id"], size=13, weight="bold", va="center")
    style = {"ha": "right", "va": "center", "weight": "bold", "color": STATUS_COLOURS[status]}
    _text(figure, 0.98, 0.972, status, size=11, **style)
    findings = _findings(record) if ok else _sentence(record)
    if ct is None:
        _text(figure, 0.5, 0.5, textwrap.fill(findings, 70), size=15, ha="center", va="center")
        return figure
    if root is None or not root.any():
        middle = tuple(n // 2 for n in ct.array.shape)
        _draw_row(figure, ct, None, None, middle, bottom=0.14, height=0.78)
        drawn = "Mid planes of the scan."
    else:
        drawn = _draw_root(figure, ct, root, calcium)
    explained = (
        f"{drawn} Patient's right on the image's left; letters: right, left, anterior, posterior, "
        f"head, feet. Window {WINDOW_HU} HU, level {LEVEL_HU} HU."
    )
    _text(figure, 0.02, 0.105, textwrap.fill(findings, 115), size=10, va="top")
    _text(
        figure, 0.02, 0.012, textwrap.fill(explained, 165), size=7.5, color="#444444", va="bottom"
    )
    return figure


def _draw_root(figure, ct, root, calcium) -> str:
    box = bounding_slices(root)
    centre = tuple((s.start + s.stop - 1) // 2 for s in box)
    found = calcium is not None and calcium.any()
    focus = _fullest(calcium) if found else centre
    view = _view_mm(ct, box)
    _draw_row(figure, ct, root, calcium, centre, bottom=0.535, height=0.405, mark=view)
    _draw_row(figure, ct, root, calcium, focus, bottom=0.12, height=0.405, view=view)
    shown = "the most calcium" if found else "the root's centre"
    return (
        f"Above: planes through the root's centre. Below: the root, planes through {shown}. "
        "Blue line: root. Orange: calcium, at or above the threshold."
    )


def _findings(record: dict[str, Any]) -> str:
    name = record["mask_rule"]
    rule = next(rule for rule in record["rules"] if rule["rule"] == name)
    return (
        f"Luminance Lm {record['luminance_hu']:.0f} HU   ·   "
        f"{name} threshold {rule['threshold_hu']:.0f} HU   ·   "
        f"calcium {rule['calcium_volume_mm3']:.1f} mm³   ·   "
        f"root {record['root_volume_mm3'] / 1000:.1f} ml"
    )


def _sentence(record: dict[str, Any]) -> str:
    return f"{record['status'].capitalize()} at stage {record['stage']}: {record['detail']}"


def _fullest(mask: np.ndarray) -> tuple[int, int, int]:
    """Index per axis of the slice with the most voxels of `mask`."""
    box = bounding_slices(mask)
    inside = mask[box]
    counts = (inside.sum(axis=tuple({0, 1, 2} - {axis})) for axis in range(3))
    return tuple(s.start + int(n.argmax()) for s, n in zip(box, counts, strict=True))


def _plane(array: np.ndarray, axis: int, index: int) -> np.ndarray:
    """Slice across `axis`, columns reversed so that they run to the left of the image."""
    return np.asarray(array[(slice(None),) * axis + (index,)])[:, ::-1]


def _view_mm(ct: Volume, box: tuple[slice, slice, slice]) -> list[tuple[float, ...]]:
    """Per plane, left, right, bottom and top in mm of the root's box with a margin."""
    spacing = ct.grid.spacing_mm
    views = []
    for axis in range(3):
        up, across = (a for a in range(3) if a != axis)
        n = ct.array.shape[across]
        views.append(
            (
                (n - box[across].stop) * spacing[across] - ZOOM_MARGIN_MM,
                (n - box[across].start) * spacing[across] + ZOOM_MARGIN_MM,
                box[up].start * spacing[up] - ZOOM_MARGIN_MM,
                box[up].stop * spacing[up] + ZOOM_MARGIN_MM,
            )
        )
    return views


def _draw_row(figure, ct, root, calcium, position, bottom, height, view=None, mark=None) -> None:
    """Draw the three planes through `position` side by side, at one scale in mm."""
    spacing, gap, width = ct.grid.spacing_mm, 0.01, 0.3133
    fields = []
    for axis in range(3):
        up, across = (a for a in range(3) if a != axis)
        extent = (0.0, ct.array.shape[across] * spacing[across])
        extent += (0.0, ct.array.shape[up] * spacing[up])
        fields.append(extent)
    shown = view or fields
    height -= gap
    ratio = (width * WIDTH_PX) / (height * HEIGHT_PX)
    tall = max(max(t - b, (r - left) / ratio) for left, r, b, t in shown)
    for axis, (left, right, low, top) in enumerate(shown):
        axes = figure.add_axes((0.02 + axis * (width + gap), bottom, width, height))
        axes.set(facecolor="black", xticks=[], yticks=[])
        _draw_plane(axes, axis, position[axis], fields[axis], ct, root, calcium, view is not None)
        x, y = (left + right) / 2, (low + top) / 2
        axes.set_xlim(x - tall * ratio / 2, x + tall * ratio / 2)
        axes.set_ylim(y - tall / 2, y + tall / 2)
        axes.set_aspect("auto")
        _letter(axes, axis, position[axis], ct.array.shape[axis])
        _scale_bar(axes, tall * ratio)
        if mark:
            x0, x1, y0, y1 = mark[axis]
            axes.add_patch(
                Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, ec="white", lw=0.7, ls=":")
            )


def _draw_plane(axes: Axes, axis, index, extent, ct, root, calcium, zoomed: bool) -> None:
    low, high = LEVEL_HU - WINDOW_HU / 2, LEVEL_HU + WINDOW_HU / 2
    hounsfield = _plane(ct.array, axis, index)
    axes.imshow(
        hounsfield,
        cmap="gray",
        vmin=low,
        vmax=high,
        extent=extent,
        origin="lower",
        interpolation="hanning",
    )
    if calcium is not None:
        colours = np.zeros((*hounsfield.shape, 4))
        colours[_plane(calcium, axis, index)] = to_rgba(CALCIUM_COLOUR, 0.8 if zoomed else 1)
        axes.imshow(
            colours,
            extent=extent,
            origin="lower",
            interpolation="nearest" if zoomed else "hanning",
        )
    if root is not None and (outline := _plane(root, axis, index)).any():
        up, across = (a for a in range(3) if a != axis)
        spacing = ct.grid.spacing_mm
        axes.contour(
            (np.arange(outline.shape[1]) + 0.5) * spacing[across],
            (np.arange(outline.shape[0]) + 0.5) * spacing[up],
            outline.astype(float),
            levels=[0.5],
            colors=[ROOT_COLOUR],
            linewidths=1.4 if zoomed else 0.9,
        )


def _letter(axes: Axes, axis: int, index: int, count: int) -> None:
    name, top, bottom, left, right = PLANES[axis]
    style = {"color": "white", "fontsize": 9, "transform": axes.transAxes, "path_effects": SHADOW}
    axes.text(0.5, 0.985, top, ha="center", va="top", **style)
    axes.text(0.5, 0.015, bottom, ha="center", va="bottom", **style)
    axes.text(0.012, 0.5, left, ha="left", va="center", **style)
    axes.text(0.988, 0.5, right, ha="right", va="center", **style)
    style["fontsize"] = 7.5
    axes.text(0.015, 0.98, f"{name}, slice {index + 1} of {count}", ha="left", va="top", **style)


def _scale_bar(axes: Axes, width_mm: float) -> None:
    length = max([mm for mm in BARS_MM if mm <= width_mm / 3] or BARS_MM[:1])
    style = {"color": "white", "transform": axes.transAxes, "path_effects": SHADOW}
    axes.plot([0.96 - length / width_mm, 0.96], [0.05, 0.05], lw=2, solid_capstyle="butt", **style)
    x = 0.96 - length / width_mm / 2
    axes.text(x, 0.065, f"{length} mm", ha="center", va="bottom", fontsize=7.5, **style)


def _text(figure: Figure, x: float, y: float, text: str, **style: Any) -> None:
    figure.text(x, y, text, parse_math=False, **style)
