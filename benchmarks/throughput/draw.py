"""Draw a folder of networks.py: throughput as bars, latency as the quality-of-service curve.

    benchmarks/throughput/draw.py FOLDER

Writes throughput.png and latency.png, after Figs. 7 to 10 of paper 000.
"""

import sys
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000", "#999999")
KEY = ["library", "precision", "compiled", "filters"]


def label(library: str, precision: str, compiled: bool, filters: str) -> str:
    """Name a line of the table."""
    return f"{library}\n{precision}" + (", XLA" if compiled else "") + f", {filters} filters"


def draw_throughput(table: pd.DataFrame, path: Path) -> None:
    """Draw scans per second of each task as bars, with the share of the arithmetic's peak."""
    tasks = list(dict.fromkeys(table["task"]))
    figure, axes = plt.subplots(
        1, len(tasks), figsize=(5.6 * len(tasks), 1.2 + 0.35 * len(table)), squeeze=False,
        layout="constrained",
    )  # fmt: skip
    for axis, task in zip(axes[0], tasks, strict=True):
        rows = table[table["task"] == task]
        names = [label(*row[KEY]) for _, row in rows.iterrows()]
        bars = axis.barh(names, rows["scans_per_s"], color=COLOURS[0])
        share = [
            f" {rate:.3g} ({part:.0%} of peak)"
            for rate, part in zip(rows["scans_per_s"], rows["share_of_peak"], strict=True)
        ]
        axis.bar_label(bars, share, fontsize=8)
        axis.set(title=task.capitalize(), xlabel="Scans per second")
        axis.set_xlim(0, rows["scans_per_s"].max() * 1.75)
        axis.invert_yaxis()
        axis.spines[["top", "right"]].set_visible(False)
    shapes = ", ".join(table["shape"].unique())
    figure.suptitle(f"{shapes} voxels, {', '.join(table['device'].unique())}")
    figure.savefig(path, dpi=110)


def draw_latency(calls: pd.DataFrame, path: Path) -> None:
    """Draw which share of the inferences took at most how long."""
    figure, axis = plt.subplots(figsize=(7, 6), layout="constrained")
    groups = calls[calls["task"] == "inference"].groupby(KEY, sort=False)
    for colour, (key, rows) in zip(COLOURS, groups, strict=False):
        seconds = np.sort(rows["s"])
        share = 100 * np.arange(1, len(seconds) + 1) / len(seconds)
        name = f"{label(*key)}, {len(seconds)} calls".replace("\n", ", ")
        axis.step(seconds, share, where="post", color=colour, label=name)
    axis.set(xlabel="Latency of one inference (s)", ylabel="Inferences at most as long (%)")
    axis.set_xscale("log")
    axis.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set_ylim(0, 101)
    axis.grid(alpha=0.3, which="both")
    figure.legend(fontsize=8, loc="outside upper center")
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    draw_throughput(pd.read_csv(folder / "throughput.csv"), folder / "throughput.png")
    draw_latency(pd.read_csv(folder / "latencies.csv"), folder / "latency.png")
