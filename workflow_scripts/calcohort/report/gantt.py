"""The workers' trace as a picture: a row per device, a bar per scan, the gaps are idle time."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.patches import Patch

from calcohort.outcomes import atomic_path
from calcohort.trace import START_UP, Span, by_place, summarise

COLOURS = {"start-up": "#999999", "localise": "#0072b2", "segment": "#e69f00"}
"""Of Okabe and Ito's palette, told apart by colour-blind readers."""

ROW_IN, FRAME_IN, WIDTH_IN = 0.45, 1.7, 10.0


def draw_gantt(spans: list[Span], path: Path) -> dict[str, float]:
    """Draw which scan was on which device when.

    Parameters
    ----------
    spans : list of Span
        Of at least one worker (`trace.read_traces`).
    path : Path
        The PNG to write.

    Returns
    -------
    dict
        What the title tells (`trace.summarise`).

    Raises
    ------
    UserError
        Without spans.
    """
    summary = summarise(spans)
    places = by_place(spans)
    first = min(span.begun_s for span in spans)
    long = summary["hours"] > 3
    unit_s, unit = (3600, "h") if long else (60, "min")
    figure, axes = plt.subplots(
        figsize=(WIDTH_IN, FRAME_IN + ROW_IN * len(places)), layout="constrained"
    )
    for row, at_place in enumerate(places.values()):
        for span in at_place:
            kind = "start-up" if span.scan_id == START_UP else span.stage
            bar = ((span.begun_s - first) / unit_s, span.seconds / unit_s)
            axes.broken_barh(
                [bar], (row - 0.4, 0.8), facecolor=COLOURS[kind], edgecolor="white", linewidth=0.5
            )
    axes.set_yticks(range(len(places)), [f"{host} {device}" for host, device in places])
    axes.invert_yaxis()
    axes.set_xlim(left=0)
    axes.set_xlabel(f"Time since the first worker began ({unit})")
    axes.set_title(
        f"Scans: {summary['scans']}, devices: {summary['devices']}, "
        f"idle: {summary['idle_share']:.0%}, start-up: {summary['start_up_share']:.0%} of the work"
    )
    shown = [Patch(facecolor=colour, label=name) for name, colour in COLOURS.items()]
    figure.legend(handles=shown, loc="outside lower center", ncols=len(shown), frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=150, metadata={"Software": None})
    plt.close(figure)
    return summary
