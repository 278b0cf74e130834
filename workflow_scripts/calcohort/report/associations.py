"""The report's outcomes: calcium of every rule against outcomes and groups."""

import pandas as pd

from calcohort.report.blocks import NOTHING, Section, Table, interval, number, p_value

TITLES = {
    "roc": "Area under the ROC curve",
    "logistic": "Odds ratio per doubling of calcium",
    "cox": "Hazard ratio per doubling of calcium",
    "mann-whitney": "Two groups",
    "kruskal-wallis": "Groups",
    "group": "Groups",
}


def association_sections(associations: pd.DataFrame, rule: str) -> list[Section]:
    """Make the section of associations.csv; none where nothing was asked."""
    tables = []
    for (column, analysis), part in associations.groupby(["column", "analysis"], sort=False):
        rows = [
            [
                row["rule"],
                number(row["n"], 0),
                number(row["events"], 0),
                number(row["value"], 2),
                interval(row["ci_low"], row["ci_high"], 2),
                p_value(row["p"]),
                p_value(row["p_adjusted"]),
                p_value(row["p_against_main"]),
                row["note"] if isinstance(row["note"], str) else NOTHING,
            ]
            for row in part.to_dict("records")
        ]
        head = ["Rule", "n", "Events", _first(part, "effect"), "95 % CI", "p", "p (Holm)"]
        head += [f"p against {rule}", "Note"]
        held = _first(part, "covariates")
        note = "Ratios are per doubling of volume + 1 mm³. Holm: over all rows of one analysis."
        note = f"Held: {held}. {note}" if held else note
        caption = f"{TITLES[analysis]}: {column}"
        columns = frozenset({8})
        tables.append(Table(caption, head, rows, main=rule, text_columns=columns, note=note))
    return [Section("outcomes", "Outcomes and groups", tables)] if tables else []


def _first(part: pd.DataFrame, column: str) -> str:
    known = part[column].dropna()
    return str(known.iloc[0]) if len(known) else ""
