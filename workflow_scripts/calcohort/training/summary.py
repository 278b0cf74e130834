"""The cross-validation's tables and learning curves."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from calcohort.agreement.plots import BLUE, STYLE, VERMILION, save
from calcohort.training import FIGURES


def summarise(scans: pd.DataFrame) -> pd.DataFrame:
    """Summarise the scans' figures per fold and overall.

    Parameters
    ----------
    scans : DataFrame
        Columns `scan_id`, `fold`, and those of `judge_scans`.

    Returns
    -------
    DataFrame
        One row per fold and one `overall`: `scans`, `nothing_found` (scans without a found voxel,
        which have a Dice of 0 and no distances), and mean, SD (n − 1), smallest and largest of each
        figure over the scans that have it.
    """
    parts = [(str(fold), part) for fold, part in scans.groupby("fold")] + [("overall", scans)]
    rows = []
    for name, part in parts:
        row = {"fold": name, "scans": len(part), "nothing_found": int(part["hd95_mm"].isna().sum())}
        for figure in FIGURES:
            for key, value in part[figure].agg(["mean", "std", "min", "max"]).items():
                row[f"{figure}_{key}".replace("_std", "_sd")] = value
        rows.append(row)
    return pd.DataFrame(rows).round(4)


def learning_curves(logs: Sequence[Path], title: str) -> Figure:
    """Draw loss and Dice of every epoch of every fold.

    Parameters
    ----------
    logs : sequence of Path
        Each fold's `log.csv`.
    title : str

    Returns
    -------
    Figure
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 3.6), layout="constrained")
        FigureCanvasAgg(figure)
        loss, dice = figure.subplots(1, 2)
        for position, path in enumerate(logs):
            rows = pd.read_csv(path)
            named = {"label": "training patches"} if position == 0 else {}
            loss.plot(rows["step"], rows["loss"], color=BLUE, alpha=0.6, linewidth=1)
            dice.plot(rows["step"], rows["dice"], color=BLUE, alpha=0.6, linewidth=1, **named)
            judged = rows.dropna(subset="validation_dice_mean")
            named = {"label": "held-out scans, mean"} if position == 0 else {}
            dice.plot(
                judged["step"], judged["validation_dice_mean"],
                color=VERMILION, marker="o", markersize=4, linewidth=1, alpha=0.8, **named,
            )  # fmt: skip
        loss.set(xlabel="step", ylabel="loss, (1 − Dice) + cross entropy", ylim=(0, None))
        dice.set(xlabel="step", ylabel="Dice", ylim=(0, 1))
        dice.legend(frameon=False, loc="lower right")
        loss.set_title(f"{title}; one line a fold, n = {len(logs)}", fontsize=10, loc="left")
    return figure


def draw_learning_curves(logs: Sequence[Path], title: str, path: Path) -> None:
    """Write the learning curves as PNG to `path` and as SVG beside it."""
    save(learning_curves(logs, title), path)
