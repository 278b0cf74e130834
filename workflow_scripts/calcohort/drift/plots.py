"""Figures of control charts: scan by scan with the moving average, and shares by period."""

from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from calcohort.agreement.plots import BLACK, BLUE, GREY, VERMILION, Look, save
from calcohort.drift.cohort import QUANTITIES, SHARES

FIGURE = Look(width_mm=180, font_pt=8, suffixes=(".png", ".svg"))
PANEL_SHARE = 0.26
MOST_LABELS = 24


def draw_charts(folder: Path, points: pd.DataFrame) -> list[Path]:
    """Draw each stratum's quantities, and its shares, as `{kind}_{number}.png` and SVG.

    Parameters
    ----------
    folder : Path
        Made where missing.
    points : DataFrame
        Of `cohort.chart_cohort`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    in_time = points[points["by"] == "time"]
    for number, (stratum, part) in enumerate(in_time.groupby("stratum", sort=False), start=1):
        for kind, draw in (("scans", scan_figure), ("shares", share_figure)):
            with mpl.rc_context(FIGURE.style):
                figure = draw(part, stratum)
                if figure is not None:
                    drawn.append(save(figure, folder / f"{kind}_{number:02d}.png", FIGURE))
    return drawn


def scan_figure(points: pd.DataFrame, stratum: str) -> Figure | None:
    """Draw values and moving averages scan by scan, one panel a quantity; None without any.

    Parameters
    ----------
    points : DataFrame
        Of one stratum in order of time.
    stratum : str
    """
    quantities = [q for q in QUANTITIES if (points["quantity"] == q).any()]
    if not quantities:
        return None
    figure, panels = _panels(len(quantities), f"{stratum}: scan by scan")
    for axes, quantity in zip(panels, quantities, strict=True):
        part = points[points["quantity"] == quantity]
        single, smooth = (part[part["chart"] == c].reset_index() for c in ("individuals", "ewma"))
        name, unit = QUANTITIES[quantity]
        _limits(axes, single)
        size = 0.1 * mpl.rcParams["font.size"] ** 2
        axes.scatter(single.index, single["value"], s=size, color=GREY, lw=0, label="scan")
        axes.plot(smooth.index, smooth["value"], color=BLUE, lw=1.2, label="moving average")
        for side in ("low", "high"):
            axes.plot(smooth.index, smooth[side], color=BLUE, lw=0.6, ls=":")
        _alarms(axes, pd.concat([single, smooth]))
        axes.set_ylabel(f"{name[0].upper() + name[1:]}\n({unit})")
    panels[-1].set_xlabel("Measured scans in order")
    _legend(figure, panels[0])
    return figure


def share_figure(points: pd.DataFrame, stratum: str) -> Figure | None:
    """Draw the shares of scans that were not measured, and that failed, by period."""
    used = points[points["chart"] == "proportion"]
    if used.empty:
        return None
    figure, panels = _panels(len(SHARES), f"{stratum}: scans by period")
    for axes, (quantity, name) in zip(panels, SHARES.items(), strict=True):
        part = used[used["quantity"] == quantity].reset_index()
        axes.fill_between(part.index, part["low"], part["high"], color=BLUE, alpha=0.12, step="mid")
        _baseline(axes, part)
        axes.plot(part.index, part["value"], color=BLACK, lw=0.8, marker="o", ms=3, clip_on=False)
        _alarms(axes, part)
        axes.set_ylabel(f"Share {name}")
        axes.set_ylim(0, None)
        step = -(-len(part) // MOST_LABELS)
        axes.set_xticks(part.index[::step], part["label"][::step], rotation=45, ha="right")
    return figure


def _panels(count: int, title: str) -> tuple[Figure, list[Axes]]:
    size = FIGURE.size_inches(PANEL_SHARE * count + 0.08)
    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(count, squeeze=False)[:, 0]
    panels[0].set_title(title, loc="left")
    return figure, list(panels)


def _limits(axes: Axes, points: pd.DataFrame) -> None:
    _baseline(axes, points)
    for key, style in (("low", "--"), ("centre", "-"), ("high", "--")):
        axes.axhline(points[key].iloc[0], color=VERMILION, lw=0.8, ls=style)


def _baseline(axes: Axes, points: pd.DataFrame) -> None:
    count = int(points["baseline"].sum())
    axes.axvspan(-0.5, count - 0.5, color=GREY, alpha=0.12, lw=0, label="baseline")


def _alarms(axes: Axes, points: pd.DataFrame) -> None:
    found = points[points["reason"].notna()]
    style = {"facecolors": "none", "edgecolors": VERMILION, "s": 40, "linewidths": 1.2, "zorder": 4}
    axes.scatter(found.index, found["value"], **style, label="alarm")


def _legend(figure: Figure, axes: Axes) -> None:
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower right", ncols=4, frameon=False
    )
