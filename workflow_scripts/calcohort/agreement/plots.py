"""Figures of agreement: Bland-Altman (paper 000, Fig. 6) and automatic against reference.

Colours are of Okabe and Ito's set, which colour-blind readers can tell apart. The same values give
the same bytes, PNG and SVG.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from calcohort.agreement.agreement import WITHOUT_RULE, pair
from calcohort.agreement.limits import LIMIT_SDS
from calcohort.agreement.readings import NAMES, READER, UNITS
from calcohort.agreement.statistics import agree
from calcohort.outcomes import atomic_path

MM_PER_INCH = 25.4
BLUE, VERMILION, BLACK, GREY = "#0072B2", "#D55E00", "#000000", "#777777"
STYLE = {
    "font.family": "DejaVu Sans",
    "axes.titlesize": "medium",
    "axes.labelsize": "medium",
    "pdf.fonttype": 42,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "calcohort",
    "svg.fonttype": "path",
}


@dataclass(frozen=True)
class Look:
    """How figures are drawn.

    Attributes
    ----------
    width_mm : float
        Of a figure; square ones are four fifths of it.
    font_pt : float
    dpi : int
        Of PNG files.
    suffixes : tuple of str
        The files of a figure, by their endings.
    """

    width_mm: float = 163
    font_pt: float = 10
    dpi: int = 150
    suffixes: tuple[str, ...] = (".png", ".svg")

    @property
    def style(self) -> dict[str, object]:
        """Matplotlib's settings."""
        return STYLE | {"font.size": self.font_pt}

    def size_inches(self, height: float, width: float = 1.0) -> tuple[float, float]:
        """Size of a figure whose height and width are these shares of `width_mm`."""
        return self.width_mm * width / MM_PER_INCH, self.width_mm * height / MM_PER_INCH


PAGE = Look()


def bland_altman(
    automatic: ArrayLike,
    reference: ArrayLike,
    *,
    name: str,
    unit: str,
    title: str,
    look: Look = PAGE,
) -> Figure:
    """Draw differences against means with bias, limits of agreement and their 95 % intervals.

    Where constant limits are wrong, those that follow the size are drawn too.

    Parameters
    ----------
    automatic, reference : array_like, (n,)
        Paired values. The lines need 3 pairs or more.
    name, unit : str
        Of the quantity, for the axes.
    title : str
    look : Look

    Returns
    -------
    Figure
    """
    automatic, reference = np.asarray(automatic, float), np.asarray(reference, float)
    found = agree(automatic, reference)
    figure, axes = _new_figure(look.size_inches(0.72), f"{title}, n = {found['n']}; bands: 95 % CI")
    axes.scatter((automatic + reference) / 2, automatic - reference, **_points())
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":", zorder=1)
    if found["sd"] is not None:
        _level(axes, found, "bias", "Bias", BLACK, "-")
        _level(axes, found, "loa_high", "+1.96 SD", VERMILION, "--")
        _level(axes, found, "loa_low", "−1.96 SD", VERMILION, "--")
    if found["limits_form"] == "by size":
        _follow(axes, found, (automatic + reference) / 2)
    axes.margins(x=0.06, y=0.1)
    axes.set_xlabel(f"Mean of automatic and reference {name} ({unit})")
    axes.set_ylabel(f"Automatic − reference\n{name} ({unit})")
    return figure


def identity_plot(
    automatic: ArrayLike,
    reference: ArrayLike,
    *,
    name: str,
    unit: str,
    title: str,
    look: Look = PAGE,
) -> Figure:
    """Draw automatic against reference with the identity line and the Deming regression.

    Parameters and result are those of `bland_altman`.
    """
    automatic, reference = np.asarray(automatic, float), np.asarray(reference, float)
    found = agree(automatic, reference)
    figure, axes = _new_figure(look.size_inches(0.8125, 0.8125), f"{title}, n = {found['n']}")
    axes.scatter(reference, automatic, **_points())
    values = np.concatenate([automatic, reference])
    margin = 0.06 * np.ptp(values) or 1.0
    ends = np.array([values.min() - margin, values.max() + margin])
    axes.plot(ends, ends, color=GREY, linestyle="--", linewidth=1, label="identity")
    if found["slope"] is not None:
        fit = found["slope"] * ends + found["intercept"]
        line = f"y = {found['slope']:.2f} x {_signed(found['intercept'])} (Deming)"
        axes.plot(ends, fit, color=VERMILION, linewidth=1.5, label=line)
    axes.set(xlim=ends, ylim=ends, aspect="equal")
    axes.set_xlabel(f"Reference {name} ({unit})")
    axes.set_ylabel(f"Automatic {name} ({unit})")
    axes.legend(loc="upper left", frameon=False, fontsize="small")
    text = [f"R² (identity) = {found['r2']:.2f}"] if found["r2"] is not None else []
    if found["pearson_r"] is not None:
        text.append(f"r = {found['pearson_r']:.2f}, {_p(found['pearson_p'])}")
    corner = {"transform": axes.transAxes, "ha": "right", "va": "bottom", "fontsize": "small"}
    axes.text(0.98, 0.02, "\n".join(text), **corner)
    return figure


def draw_figures(
    folder: Path,
    calcium: pd.DataFrame,
    sheet: pd.DataFrame,
    *,
    rule: str,
    columns: Mapping[str, str] = READER,
    look: Look = PAGE,
) -> list[Path]:
    """Draw both figures of each quantity that has a reference.

    Parameters
    ----------
    folder : Path
        Made where missing; gets `bland_altman_{quantity}` and `identity_{quantity}`.
    calcium, sheet, columns
        See `agreement.agreement_table`.
    rule : str
        The threshold rule to draw.
    look : Look

    Returns
    -------
    list of Path
        The PNG files; none where no scan has both a measurement and a reference.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    drawn = []
    for quantity, column in columns.items():
        of_rule = None if quantity in WITHOUT_RULE else rule
        pairs = pair(calcium, sheet, of_rule, quantity, column).dropna()
        if pairs.empty:
            continue
        title = f"Rule {rule}" if of_rule else "Root"
        labels = {"name": NAMES[quantity], "unit": UNITS[quantity], "title": title}
        for stem, draw in (("bland_altman", bland_altman), ("identity", identity_plot)):
            with mpl.rc_context(look.style):
                figure = draw(pairs["automatic"], pairs["reference"], **labels, look=look)
                drawn.append(save(figure, folder / f"{stem}_{quantity}.png", look))
    return drawn


def save(figure: Figure, path: Path, look: Look = PAGE) -> Path:
    """Write the files of a figure, named as `path` but for their endings, each whole or not at all.

    Files hold no date: the same figure gives the same bytes.
    """
    dateless = {".svg": {"Date": None}, ".pdf": {"CreationDate": None}}
    with mpl.rc_context(look.style):
        for suffix in look.suffixes:
            with atomic_path(path.with_suffix(suffix)) as temporary:
                figure.savefig(temporary, dpi=look.dpi, metadata=dateless.get(suffix))
    return path


def _new_figure(size_inches: tuple[float, float], title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=size_inches, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, loc="left")
    return figure, axes


def _points() -> dict[str, object]:
    size = 0.26 * mpl.rcParams["font.size"] ** 2
    return {"s": size, "color": BLUE, "alpha": 0.75, "linewidths": 0, "zorder": 3}


def _level(axes: Axes, found: dict, key: str, name: str, colour: str, style: str) -> None:
    low, high = found[f"{key}_ci_low"], found[f"{key}_ci_high"]
    axes.axhspan(low, high, color=colour, alpha=0.1, linewidth=0, zorder=0)
    axes.axhline(found[key], color=colour, linewidth=1.2, linestyle=style, zorder=2)
    text = f"{name}\n{found[key]:.2f}".replace("-", "−")
    beside = {"xycoords": ("axes fraction", "data"), "va": "center", "annotation_clip": False}
    axes.annotate(text, (1.02, found[key]), color=colour, fontsize="small", **beside)


def _follow(axes: Axes, found: dict, size: np.ndarray) -> None:
    """Draw bias and limits that follow the size (`limits.following_limits`)."""
    ends = np.linspace(size.min(), size.max(), 50)
    bias = found["bias_at_zero"] + found["bias_by_size"] * ends
    sd = np.maximum(found["sd_at_zero"] + found["sd_by_size"] * ends, 0)
    axes.plot(ends, bias, color=BLUE, linewidth=1.2, label="bias and limits by size")
    for sds in (-LIMIT_SDS, LIMIT_SDS):
        axes.plot(ends, bias + sds * sd, color=BLUE, linewidth=1.2, linestyle="--")
    axes.legend(loc="best", frameon=False, fontsize="small")


def _signed(value: float) -> str:
    return f"{'−' if value < 0 else '+'} {abs(value):.1f}"


def _p(value: float) -> str:
    return "p < 0.0001" if value < 1e-4 else f"p = {value:.2g}"
