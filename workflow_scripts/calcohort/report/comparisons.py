"""The report's tables of automatic against reference, and of readers."""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from calcohort.agreement.agreement import whole_cohort
from calcohort.agreement.readings import NAMES, UNITS
from calcohort.measure import RULES
from calcohort.report import published
from calcohort.report.blocks import NOTHING, Table, interval, number, p_value

QUANTITIES = {name: (NAMES[name].capitalize(), UNITS[name]) for name in NAMES}
PUBLISHED = {
    "threshold_hu": (
        "Paper, Table 2 (30 scans)",
        published.THRESHOLD_30_SCANS,
        published.THRESHOLD_NOTE,
    ),
    "calcium_volume_mm3": (
        "Paper, F7 (33 scans)",
        published.VOLUME_33_SCANS,
        published.VOLUME_NOTE,
    ),
}


def agreement_tables(
    agreement: pd.DataFrame, k: float, rule: str, beside_paper: bool = True
) -> list[Table]:
    """Compare every rule with each reference as the paper's Table 2 does, its figures beside.

    Parameters
    ----------
    agreement : DataFrame
        Of `agreement.agreement_table`; references other than the `reader` stand without the
        paper's figures, which are of radiologists.
    k : float
        Of F7, for its formula.
    rule : str
        The main rule; its row is stressed.
    beside_paper : bool
        Whether the paper's figures stand beside.
    """
    used = whole_cohort(agreement[agreement["n"] > 0])
    tables = []
    for (reference, quantity), part in used.groupby(["reference", "quantity"], sort=False):
        rows = part.to_dict("records")
        tables += [
            replace(table, main=rule)
            for table in (
                _errors(reference, quantity, rows, k, beside_paper),
                _further(reference, quantity, rows),
                _form(reference, quantity, rows),
                _zeros(reference, quantity, rows),
            )
            if table.rows
        ]
    return tables


def _errors(
    reference: str, quantity: str, rows: list[Mapping], k: float, beside_paper: bool
) -> Table:
    name, unit = QUANTITIES[quantity]
    source, paper, note = PUBLISHED.get(quantity, ("", {}, ""))
    if reference != "reader" or not beside_paper:
        source, paper, note = "", {}, ""
    errors = ["R²", "MAE", "SD", "Range"]
    head = ["Rule", "n", *errors, "Bias", "95 % CI of bias", "Limits of agreement"]
    groups = [("", 3), ("Absolute error", 3), ("Automatic − reference", 3)]
    if paper:
        head, groups = head + errors, [*groups, (source, 4)]
    cells = []
    for row in rows:
        cells.append(
            [
                _rule(row["rule"], k),
                number(row["n"], 0),
                number(row["r2"], 2),
                *(number(row[key]) for key in ("mae", "mae_sd", "error_range", "bias")),
                interval(row["bias_ci_low"], row["bias_ci_high"]),
                interval(row["loa_low"], row["loa_high"]),
            ]
        )
        if paper:
            theirs = paper.get(row["rule"])
            values = [number(value, 2) for value in theirs] if theirs else [NOTHING] * 4
            cells[-1] += values
    with_reference = max((row.get("scans_with_reference", row["n"]) for row in rows), default=0)
    missing = int(with_reference - min(row["n"] for row in rows))
    dropped = f" {missing} scans with a reference were not measured." if missing else ""
    definition = "R² is about the identity line and may be negative. MAE, SD and range are of the "
    definition += "absolute error; limits of agreement are bias ± 1.96 SD of the error."
    caption = f"{name} ({unit}) against {named(reference)}"
    return Table(caption, head, cells, groups=groups, note=f"{definition}{dropped} {note}".strip())


def _further(reference: str, quantity: str, rows: list[Mapping]) -> Table:
    name, unit = QUANTITIES[quantity]
    head = ["Rule", "r", "p", "r²", "ICC(A,1)", "95 % CI", "CCC", "95 % CI"]
    head += ["Slope", "95 % CI", "Intercept", "Slope", "95 % CI", "Intercept"]
    groups = [("", 8), ("Deming", 3), ("Passing-Bablok", 3)]
    cells = [
        [
            _short(row["rule"]),
            number(row["pearson_r"], 3),
            p_value(row["pearson_p"]),
            number(row["pearson_r_squared"], 3),
            *_with_interval(row, "icc", 3),
            *_with_interval(row, "ccc", 3),
            *_with_interval(row, "slope", 2),
            number(row["intercept"]),
            *_with_interval(row, "passing_bablok_slope", 2),
            number(row["passing_bablok_intercept"]),
        ]
        for row in rows
    ]
    caption = f"Correlation, concordance and regression: {name.lower()} against {named(reference)}"
    note = f"Regression of automatic on reference, intercepts in {unit}."
    return Table(caption, head, cells, groups=groups, folded=True, note=note)


def _form(reference: str, quantity: str, rows: list[Mapping]) -> Table:
    name, unit = QUANTITIES[quantity]
    head = ["Rule", "Constant limits", "p, bias", "p, spread", "Bias", "SD"]
    head += ["n", "Ratio", "Limits of agreement"]
    cells = []
    for row in rows:
        if row["limits_form"] not in ("constant", "by size"):
            continue
        lines = (
            f"{number(row[f'{of}_at_zero'])} + {number(row[f'{of}_by_size'], 3)} m".replace(
                "+ −", "− "
            )
            for of in ("bias", "sd")
        )
        cells.append(
            [
                _short(row["rule"]),
                "not contradicted" if row["limits_form"] == "constant" else "wrong: read by size",
                p_value(row["bias_by_size_p"]),
                p_value(row["sd_by_size_p"]),
                *lines,
                number(row["ratio_n"], 0),
                number(row["ratio"], 2),
                interval(row["ratio_loa_low"], row["ratio_loa_high"], 2),
            ]
        )
    groups = [("", 2), (f"By size m, the mean of both ({unit})", 4), ("Automatic / reference", 3)]
    note = (
        "p: whether the error's mean (slope) or spread (Koenker's test) follows the size; where "
        "either is below 0.05 one pair of limits is wrong, and bias(m) ± 1.96 SD(m) holds instead. "
        "Ratios are of the n pairs with both values above 0."
    )
    caption = f"Do the limits of agreement fit? {name} against {named(reference)}"
    return Table(
        caption, head, cells, groups=groups, text_columns=frozenset({1}), folded=True, note=note
    )


def _zeros(reference: str, quantity: str, rows: list[Mapping]) -> Table:
    name, unit = QUANTITIES[quantity]
    keys = ("both_zero", "only_automatic_zero", "only_reference_zero", "none_zero")
    head = ["Rule", "Both 0", "Only automatic 0", "Only reference 0", "Neither", "Kappa of 0"]
    head += ["MAPE, %", "n", "RMSE", "Weighted kappa", "95 % CI", "Margin", "p of equivalence"]
    cells = [
        [
            _short(row["rule"]),
            *(number(row[key], 0) for key in keys),
            number(row["zero_kappa"], 2),
            number(row["mape_percent"]),
            number(row["mape_n"], 0),
            number(row["rmse"]),
            *_with_interval(row, "kappa", 2),
            number(row["equivalence_margin"]),
            p_value(row["equivalence_p"]),
        ]
        for row in rows
    ]
    note = (
        "MAPE is of the n pairs whose reference is not 0. Weighted kappa (linear) is of the "
        f"configured categories. Equivalence: the bias lies within ± margin ({unit})."
    )
    caption = f"Zeros, categories and equivalence: {name.lower()} against {named(reference)}"
    return Table(caption, head, cells, folded=True, note=note)


def reader_tables(agreement: pd.DataFrame) -> list[Table]:
    """Readers with each other and with themselves, where the sheet has further readings."""
    rows = [
        [
            f"{QUANTITIES[row['quantity']][0]}, {row['unit']}: {row['reference']}",
            "between readers" if comparison == "inter_reader" else "within a reader",
            number(row["n"], 0),
            number(row["bias"]),
            interval(row["loa_low"], row["loa_high"]),
            number(row["mae"]),
            *_with_interval(row, "icc", 3),
            *_with_interval(row, "kappa", 2),
        ]
        for comparison in ("inter_reader", "intra_reader")
        for row in whole_cohort(agreement, comparison).to_dict("records")
        if row["n"]
    ]
    if not rows:
        return []
    head = ["First − second reading", "", "n", "Bias", "Limits of agreement", "MAE"]
    head += ["ICC(A,1)", "95 % CI", "Weighted kappa", "95 % CI"]
    note = "What readers differ by is what automatic measurements can be expected to differ by."
    return [Table("Readers", head, rows, text_columns=frozenset({1}), note=note)]


def subgroup_tables(agreement: pd.DataFrame, rule: str) -> list[Table]:
    """Agreement of the main rule in the configured subgroups."""
    of_rule = agreement["rule"].isna() | (agreement["rule"] == rule)
    used = agreement[(agreement["comparison"] == "automatic") & of_rule & (agreement["n"] > 0)]
    tables = []
    for (reference, quantity), part in used.groupby(["reference", "quantity"], sort=False):
        if part["subgroup"].nunique() < 2:
            continue
        name, unit = QUANTITIES[quantity]
        rows = [
            [
                "All" if row["subgroup"] == "all" else f"{row['subgroup']}: {row['level']}",
                number(row["n"], 0),
                number(row["bias"]),
                interval(row["bias_ci_low"], row["bias_ci_high"]),
                interval(row["loa_low"], row["loa_high"]),
                number(row["mae"]),
                number(row["r2"], 2),
                *_with_interval(row, "icc", 2),
            ]
            for row in part.to_dict("records")
        ]
        head = ["Subgroup", "n", "Bias", "95 % CI", "Limits of agreement", "MAE", "R²"]
        head += ["ICC(A,1)", "95 % CI"]
        of = "" if part["rule"].isna().all() else f" ({rule})"
        caption = f"Subgroups: {name.lower()}{of} against {named(reference)}, {unit}"
        tables.append(Table(caption, head, rows, folded=True))
    return tables


def category_tables(categories: pd.DataFrame, rule: str) -> list[Table]:
    """Confusion tables of the main rule, and of readers."""
    used = categories[categories["rule"].isna() | (categories["rule"] == rule)]
    tables = []
    for (reference, quantity), part in used.groupby(["reference", "quantity"], sort=False):
        names = list(dict.fromkeys(part["category"]))
        counts = part.set_index(["category", "reference_category"])["n"]
        rows = [[name, *(str(counts[name, other]) for other in names)] for name in names]
        name, unit = QUANTITIES[quantity]
        caption = f"Categories of {name.lower()} ({unit}): first side down, {reference} across"
        tables.append(Table(caption, ["", *names], rows, folded=True))
    return tables


def named(reference: str) -> str:
    """Name a reference in a sentence: `the reader`, `reader B`."""
    return reference if reference.startswith("reader ") else f"the {reference}"


def _with_interval(row: Mapping, key: str, digits: int) -> list[str]:
    return [
        number(row[key], digits),
        interval(row[f"{key}_ci_low"], row[f"{key}_ci_high"], digits),
    ]


def _short(rule: object) -> str:
    return rule if isinstance(rule, str) else "All rules"


def _rule(name: object, k: float) -> str:
    if not isinstance(name, str):
        return _short(name)
    formula = RULES[name].formula.replace(" k ", f" {k:g} ").replace("-", "−")
    return f"{name}: {formula}"
