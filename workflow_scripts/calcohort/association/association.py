"""The table of associations: every outcome and group against the calcium of every rule."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pingouin
from statsmodels.stats.multitest import multipletests

from calcohort.association import models, roc
from calcohort.outcomes import UserError

COLUMNS = (
    "column",
    "rule",
    "analysis",
    "effect",
    "covariates",
    "n",
    "events",
    "value",
    "ci_low",
    "ci_high",
    "p",
    "p_adjusted",
    "p_against_main",
    "note",
)


def association_table(
    scans: pd.DataFrame,
    scores: pd.DataFrame,
    *,
    outcomes: Sequence[Mapping[str, Any]],
    groups: Sequence[str],
    rule: str,
) -> pd.DataFrame:
    """Relate calcium volumes to outcomes and groups of the sheet.

    Parameters
    ----------
    scans : DataFrame
        scans.csv, with the study's columns.
    scores : DataFrame
        laboratory.csv: `scan_id`, `rule`, `calcium_volume_mm3`.
    outcomes : sequence of mapping
        `column` (0 or 1); `covariates`, columns; `time`, a column, where follow-up ends early.
        Without a time: ROC and logistic regression; with one: Cox regression.
    groups : sequence of str
        Columns whose values are compared: Mann-Whitney for two, Kruskal-Wallis for more.
    rule : str
        The main rule, against which the areas of the others are tested (DeLong).

    Returns
    -------
    DataFrame
        `COLUMNS`, one row per column, analysis and rule. `p_adjusted` is Holm's over all rows of
        one analysis. Scans without a value are left out, and `n` counts the others.

    Raises
    ------
    UserError
        When a column is missing, an outcome is not 0 or 1, or a time is not above 0.
    """
    of_scan = {
        rule_name: part.set_index("scan_id")["calcium_volume_mm3"]
        for rule_name, part in scores.groupby("rule", sort=False)
    }
    volumes = pd.DataFrame(of_scan)
    study = scans.set_index("scan_id").loc[volumes.index]
    rows = []
    for outcome in outcomes:
        rows += _of_outcome(study, volumes, outcome, rule)
    for column in groups:
        rows += _of_groups(study, volumes, column)
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    for _, part in table.groupby("analysis"):
        known = part["p"].dropna().astype(float)
        if len(known):
            table.loc[known.index, "p_adjusted"] = multipletests(known, method="holm")[1]
    return table


def _of_outcome(study, volumes, outcome: Mapping[str, Any], rule: str) -> list[dict[str, Any]]:
    column, time = outcome["column"], outcome.get("time")
    covariates = list(outcome.get("covariates", []))
    needed = [column, *covariates, *([time] if time else [])]
    used = _columns(study, needed).dropna()
    if not set(used[column].unique()) <= {0, 1}:
        raise UserError(f"config: outcomes: column '{column}' of the sheet is not 0 or 1")
    if time and not (used[time] > 0).all():
        raise UserError(f"config: outcomes: column '{time}' of the sheet is not above 0 everywhere")
    happened = used[column].to_numpy(bool)
    known = volumes.loc[used.index]
    shared = {"column": column, "n": len(used), "events": int(happened.sum())}
    rows = [] if time else _areas(happened, known, rule, shared)
    for name in known:
        matrix = models.design(models.doublings(known[name].to_numpy()), used[covariates])
        if time:
            found = models.cox(happened, used[time].to_numpy(float), matrix)
            kind = {"analysis": "cox", "effect": "hazard ratio per doubling"}
        else:
            found = models.logistic(happened, matrix)
            kind = {"analysis": "logistic", "effect": "odds ratio per doubling"}
        rows.append(shared | kind | {"rule": name, "covariates": ", ".join(covariates)} | found)
    return rows


def _areas(happened, known: pd.DataFrame, rule: str, shared: dict) -> list[dict[str, Any]]:
    kind = shared | {"analysis": "roc", "effect": "AUC"}
    if min(happened.sum(), (~happened).sum()) < 2:
        note = "fewer than 2 scans with or without the outcome"
        return [kind | {"rule": name, "note": note} for name in known]
    auc, covariance = roc.areas(happened, known.to_numpy().T)
    main = list(known).index(rule)
    return [
        kind
        | {"rule": name, "p_against_main": roc.difference_p(auc, covariance, n, main)}
        | roc.describe_area(auc[n], covariance[n, n])
        for n, name in enumerate(known)
    ]


def _of_groups(study, volumes, column: str) -> list[dict[str, Any]]:
    used = _columns(study, [column]).dropna()[column]
    levels = sorted(used.unique(), key=str)
    rows = []
    for name in volumes:
        values = volumes.loc[used.index, name]
        row = {"column": column, "rule": name, "n": len(used)}
        parts = [values[used == level].to_numpy() for level in levels]
        if len(levels) < 2 or min(map(len, parts)) < 2 or np.ptp(values) == 0:
            row |= {"analysis": "group", "note": "fewer than two groups of two, or equal volumes"}
        elif len(levels) == 2:
            found = pingouin.mwu(*parts).iloc[0]
            row |= {"analysis": "mann-whitney", "effect": f"P({levels[0]} > {levels[1]})"}
            row |= {"value": found["CLES"], "p": found["p_val"]}
        else:
            table = pd.DataFrame({"volume": values, "group": used})
            found = pingouin.kruskal(table, dv="volume", between="group").iloc[0]
            row |= {"analysis": "kruskal-wallis", "effect": "epsilon²"}
            row |= {"value": found["H"] / (len(used) - 1), "p": found["p_unc"]}
        rows.append(row)
    return rows


def _columns(study: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    if missing := [name for name in names if name not in study]:
        raise UserError(
            f"config: outcomes: scans.csv has no column '{missing[0]}'; add it to the sheet"
        )
    return study[list(names)]
