"""The report's threshold laboratory: rules side by side, and k."""

from collections.abc import Mapping

import pandas as pd

from calcohort.laboratory.score import PUBLISHED
from calcohort.measure import RULES
from calcohort.report.blocks import Section, Table, Text, interval, number
from calcohort.report.comparisons import QUANTITIES, named


def laboratory_section(
    agreement: pd.DataFrame,
    fits: pd.DataFrame,
    formulas: Mapping[str, str],
    rule: str,
) -> Section:
    """Show what the laboratory found.

    Parameters
    ----------
    agreement, fits : DataFrame
        laboratory_agreement.csv and k_fits.csv.
    formulas : mapping
        The study's own rules.
    rule : str
        The main rule; its rows are stressed.
    """
    blocks = rule_tables(agreement, formulas, rule) + fit_tables(fits)
    if not blocks:
        blocks = [Text("No measured scan has a reference to compare the rules with.")]
    return Section("laboratory", "Threshold laboratory", blocks)


def rule_tables(agreement: pd.DataFrame, formulas: Mapping[str, str], rule: str) -> list[Table]:
    """Compare all rules with the reader, one table a quantity."""
    texts = {name: r.formula for name, r in RULES.items()} | PUBLISHED | dict(formulas)
    used = agreement[agreement["n"] > 0]
    tables = []
    for (reference, quantity), part in used.groupby(["reference", "quantity"], sort=False):
        name, unit = QUANTITIES[quantity]
        rows = [
            [
                row["rule"],
                str(texts.get(row["rule"], "")).replace("-", "−"),
                number(row["n"], 0),
                number(row["r2"], 2),
                interval(row["r2_ci_low"], row["r2_ci_high"], 2),
                number(row["mae"]),
                interval(row["mae_ci_low"], row["mae_ci_high"]),
                number(row["bias"]),
                interval(row["loa_low"], row["loa_high"]),
            ]
            for row in part.to_dict("records")
        ]
        head = ["Rule", "Threshold, HU", "n", "R²", "95 % CI", "MAE", "95 % CI", "Bias", "Limits"]
        caption = f"All rules: {name.lower()} ({unit}) against {named(reference)}"
        note = (
            "Scored again from the stored voxels of the root. R² is about the identity line; "
            "intervals of R² and MAE are by bootstrap. outflow: median HU of the root's lowest "
            "fifth."
        )
        columns = frozenset({1})
        tables.append(Table(caption, head, rows, main=rule, text_columns=columns, note=note))
    return tables


def fit_tables(fits: pd.DataFrame) -> list[Table]:
    """Show k of F7 as fitted to the reader; none where nothing could be fitted."""
    rows = [
        [
            "{}, {}".format(*QUANTITIES[row["quantity"]]),
            number(row["n"], 0),
            number(row["configured_k"], 3),
            number(row["k"], 3),
            interval(row["k_ci_low"], row["k_ci_high"], 3),
            interval(row["fold_k_low"], row["fold_k_high"], 3),
            number(row["held_out_mae"]),
            number(row["held_out_r2"], 2),
            number(row["held_out_bias"]),
            interval(row["held_out_loa_low"], row["held_out_loa_high"]),
        ]
        for row in fits[fits["k"].notna()].to_dict("records")
    ]
    if not rows:
        return []
    head = ["Fitted to", "n", "k in use", "k", "95 % CI", "k of the folds"]
    head += ["MAE", "R²", "Bias", "Limits"]
    note = (
        "k with the least mean absolute error. Held-out scans are each measured at the k of the "
        "others: what a fitted k may promise for new scans like these."
    )
    groups = [("", 6), ("Held-out scans", 4)]
    return [Table("k of F7 = Lm + k (1000 − Lm)", head, rows, groups=groups, note=note)]
