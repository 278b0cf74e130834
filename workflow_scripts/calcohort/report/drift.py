"""The report's drift: alarms in words, then the control charts."""

from pathlib import Path

import pandas as pd

from calcohort.report.blocks import Image, Section, Table, Text, embed, number

CHARTS = {
    "individuals": "Single scan",
    "ewma": "Moving average",
    "means": "Mean",
    "proportion": "Share",
}
MOST_ALARMS = 100
MOST_FIGURES = 8


def drift_sections(points: pd.DataFrame, figures: Path) -> list[Section]:
    """Make the section of control_charts.csv; none where nothing could be charted.

    Parameters
    ----------
    points : DataFrame
        control_charts.csv.
    figures : Path
        The folder of `drift.plots.draw_charts`.
    """
    if points.empty:
        return []
    alarms = points[points["reason"].notna()]
    counts = alarms["chart"].value_counts()
    words = ", ".join(
        f"{counts[c]} of {name.lower()}s" for c, name in CHARTS.items() if c in counts
    )
    summary = f"{len(alarms)} alarms among {len(points)} points: {words}." if words else "No alarm."
    blocks = [
        Text(
            f"{summary} Limits are three standard errors from the centre; of 1,000 single scans of "
            "a process in control about three lie beyond. A patient with an unusual value is no "
            "drift: look at moving averages and means first."
        )
    ]
    ordered = alarms.sort_values("chart", key=lambda c: c.map(list(CHARTS)[::-1].index))
    rows = [
        [CHARTS[row["chart"]], row["stratum"], row["label"], row["reason"]]
        for row in ordered.head(MOST_ALARMS).to_dict("records")
    ]
    if rows:
        head = ["Chart", "Scans of", "At", "Alarm"]
        note = (
            f"{len(alarms) - len(rows)} more are in drift.csv." if len(alarms) > len(rows) else ""
        )
        columns = frozenset({1, 2, 3})
        blocks.append(Table("Alarms", head, rows, text_columns=columns, note=note))
    blocks.append(_groups(points))
    drawn = sorted(Path(figures).glob("*.png"))
    for path in drawn[:MOST_FIGURES]:
        blocks.append(Image(embed(path), *_captions(path.stem)))
    if len(drawn) > MOST_FIGURES:
        blocks.append(Text(f"{len(drawn)} figures are in the folder {Path(figures).name}."))
    return [Section("drift", "Drift", [block for block in blocks if block is not None])]


def _groups(points: pd.DataFrame) -> Table | None:
    """Compare scanners and software versions; None where there is only one."""
    groups = points[points["by"] != "time"]
    if groups.empty:
        return None
    rows = [
        [
            row["label"],
            row["quantity"],
            row["unit"],
            number(row["n"], 0),
            number(row["value"]),
            number(row["centre"]),
            f"{number(row['low'])} to {number(row['high'])}",
            "beyond" if isinstance(row["reason"], str) else "within",
        ]
        for row in groups.to_dict("records")
    ]
    head = ["Scanner or software", "Quantity", "Unit", "n", "Mean", "All", "Limits", ""]
    columns = frozenset({1, 2, 7})
    note = "Groups of 5 scans or more. calcium_log2 is log2(volume + 1 mm³)."
    return Table("Scanners and software", head, rows, text_columns=columns, note=note, folded=True)


def _captions(stem: str) -> tuple[str, str]:
    if stem.startswith("shares"):
        text = (
            "Share of scans that were not measured and that failed, by period. Band: limits after "
            "the baseline (grey); circles: alarms."
        )
    else:
        text = (
            "Scans in order (grey points) with three-sigma limits of the baseline (orange), and "
            "their moving average with its limits (blue); circles: alarms."
        )
    return text, text
