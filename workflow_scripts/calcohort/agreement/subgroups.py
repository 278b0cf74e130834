"""Subgroups of scans: by the values of a column, or between cut points of a number."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from calcohort.agreement.concordance import category_names
from calcohort.outcomes import UserError

WHOLE = ("all", "all")


def find_subgroups(
    scans: pd.DataFrame, subgroups: Mapping[str, Sequence[float]]
) -> dict[tuple[str, str], pd.Series]:
    """Sort scans into subgroups, the whole cohort first.

    Parameters
    ----------
    scans : DataFrame
        `scan_id` and the columns that are named.
    subgroups : mapping
        Column to its rising cut points; none where each value is a subgroup of its own.

    Returns
    -------
    dict
        (column, level) to the `scan_id` of its scans. Scans without a value are in no level.

    Raises
    ------
    UserError
        When a column is missing, or has cut points and is no number.
    """
    found = {WHOLE: scans["scan_id"]}
    for column, cuts in subgroups.items():
        if column not in scans:
            known = ", ".join(scans.columns)
            raise UserError(
                f"config: agreement.subgroups: scans.csv has no column '{column}'; it has {known}"
            )
        given = scans.dropna(subset=[column])
        if cuts and not pd.api.types.is_numeric_dtype(given[column]):
            raise UserError(
                f"config: agreement.subgroups.{column} has cut points, but the column holds text"
            )
        if cuts:
            position = np.searchsorted(cuts, given[column])
            names = category_names(cuts)
            level, order = pd.Series(np.array(names)[position], given.index), names
        else:
            level = given[column].map(lambda v: f"{v:g}" if isinstance(v, float) else str(v))
            order = sorted(level.unique())
        for name in order:
            members = given.loc[level == name, "scan_id"]
            if len(members):
                found[column, name] = members
    return found
