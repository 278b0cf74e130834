"""Figures at a journal's size and resolution: agreement, and the flow of scans."""

import textwrap
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Canvas

from calcohort.agreement.plots import BLACK, Look, draw_figures, save
from calcohort.agreement.readings import NAMES
from calcohort.outcomes import EXCLUDED, FAILED
from calcohort.paper.contents import Figure
from calcohort.report.flow import Step, count_flow, meaning

SUFFIXES = (".pdf", ".svg", ".png")
FONT_PT = 7.0
LINE_MM = 3.4
PAD_MM = 1.6
GAP_MM = 4.0
LETTER_MM = 1.22
LEFT_SHARE = 0.42

CAPTIONS = {
    "bland_altman": "Bland-Altman plot of the {name}, automatic ({rule}) minus reference: bias and "
    "limits of agreement (± 1.96 SD) with their 95 % confidence intervals; where these do not "
    "hold, bias and limits by size.",
    "identity": "{name}, automatic ({rule}) against the reference: line of identity and Deming "
    "regression.",
}


def journal_look(width_mm: float, dpi: int) -> Look:
    """Text of 7 pt, PDF and SVG for print, PNG for drafts."""
    return Look(width_mm=width_mm, font_pt=FONT_PT, dpi=dpi, suffixes=SUFFIXES)


def draw_all(
    folder: Path, scans: pd.DataFrame, calcium: pd.DataFrame, *, rule: str, look: Look
) -> list[Figure]:
    """Draw the flow of scans and the agreement of the main rule into a folder.

    Parameters
    ----------
    folder : Path
    scans, calcium : DataFrame
        scans.csv, calcium.csv.
    rule : str
    look : Look
    """
    folder.mkdir(parents=True, exist_ok=True)
    with mpl.rc_context(look.style):
        save(flow(count_flow(scans), len(scans), look), folder / "flow.png", look)
    figures = [Figure("flow", "Flow of scans through the study.")]
    for path in draw_figures(folder, calcium, scans, rule=rule, look=look):
        kind = next(kind for kind in CAPTIONS if path.stem.startswith(kind))
        name = NAMES[path.stem.removeprefix(f"{kind}_")]
        caption = CAPTIONS[kind].format(name=name, rule=rule)
        figures.append(Figure(path.stem, caption[0].upper() + caption[1:]))
    return figures


def flow(steps: list[Step], total: int, look: Look) -> Canvas:
    """Draw the flow of scans: from the sheet down to the measured ones, losses to the right.

    Parameters
    ----------
    steps : list of Step
        Of `report.flow.count_flow`.
    total : int
        Scans in the sheet.
    look : Look
    """
    left_mm, right_mm = LEFT_SHARE * look.width_mm, (0.97 - LEFT_SHARE) * look.width_mm
    spine = [_wrapped(f"Scans in the sheet (n = {total})", left_mm)]
    spine += [_wrapped(f"{step.label} (n = {step.left})", left_mm) for step in steps]
    losses = [[], *(_losses(step, right_mm) for step in steps)]
    gaps_mm = [max(GAP_MM, _height_mm(lines) + GAP_MM if lines else 0) for lines in losses[1:]]
    height_mm = sum(map(_height_mm, spine)) + sum(gaps_mm) + 1
    size = (look.width_mm / 25.4, height_mm / 25.4)
    figure = Canvas(figsize=size)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, look.width_mm), ylim=(height_mm, 0))
    axes.axis("off")
    y, middle = 0.5, 0.5 + left_mm / 2
    for n, lines in enumerate(spine):
        if n:
            gap = gaps_mm[n - 1]
            _arrow(axes, (middle, y), (middle, y + gap))
            if losses[n]:
                x, box = look.width_mm - right_mm - 0.5, _height_mm(losses[n])
                _arrow(axes, (middle, y + gap / 2), (x, y + gap / 2))
                _box(axes, x, y + (gap - box) / 2, right_mm, losses[n], centred=False)
            y += gap
        _box(axes, 0.5, y, left_mm, lines, centred=True)
        y += _height_mm(lines)
    return figure


def _losses(step: Step, width_mm: float) -> list[str]:
    lines = []
    for status in (EXCLUDED, FAILED):
        found = [(reason, n) for s, reason, n in step.losses if s == status]
        if found:
            total = sum(n for _, n in found)
            lines += _wrapped(f"{status.capitalize()} at {step.stage} (n = {total})", width_mm)
        for reason, n in found:
            lines += _wrapped(f"{n} × {meaning(reason)}", width_mm, indent="   ")
    return lines


def _wrapped(text: str, width_mm: float, indent: str = "") -> list[str]:
    letters = int((width_mm - 2 * PAD_MM) / LETTER_MM)
    return textwrap.wrap(text, letters, subsequent_indent=indent)


def _height_mm(lines: list[str]) -> float:
    return LINE_MM * len(lines) + 2 * PAD_MM


def _box(axes, x: float, y: float, width: float, lines: list[str], *, centred: bool) -> None:
    height = _height_mm(lines)
    axes.add_patch(
        mpl.patches.Rectangle((x, y), width, height, facecolor="white", edgecolor=BLACK, lw=0.6)
    )
    place = x + width / 2 if centred else x + PAD_MM
    for n, line in enumerate(lines):
        middle = y + PAD_MM + LINE_MM * (n + 0.5)
        align = {"ha": "center" if centred else "left", "va": "center_baseline"}
        axes.text(place, middle, line, **align)


def _arrow(axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    style = {"arrowstyle": "-|>", "color": BLACK, "lw": 0.6, "shrinkA": 0, "shrinkB": 0}
    axes.annotate("", end, start, arrowprops=style)
