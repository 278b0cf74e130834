"""The laboratory of a cohort: all rules scored, compared with readers, k fitted."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calcohort.agreement.agreement import agreement_table, whole_cohort
from calcohort.agreement.readings import READER, UNITS
from calcohort.laboratory.fit import HELD_OUT, fit_k, thresholds_on_grid
from calcohort.laboratory.score import Laboratory, score_table
from calcohort.laboratory.voxels import read_voxels

QUANTITIES = ("threshold_hu", "calcium_volume_mm3")
FIT_COLUMNS = (
    "quantity",
    "unit",
    "n",
    "configured_k",
    "k",
    "k_ci_low",
    "k_ci_high",
    "folds",
    "fold_k_low",
    "fold_k_high",
    *(f"held_out_{key}" for key in HELD_OUT),
)


class Tables(NamedTuple):
    """What the laboratory found: laboratory.csv, laboratory_agreement.csv, k_fits.csv."""

    scores: pd.DataFrame
    agreement: pd.DataFrame
    fits: pd.DataFrame


def compare_rules(
    scans: pd.DataFrame,
    voxels: Mapping[str, Path],
    *,
    k: float,
    formulas: Mapping[str, str],
) -> Tables:
    """Score every rule on every measured scan and compare with the sheet's reader.

    Parameters
    ----------
    scans : DataFrame
        scans.csv, with the reference columns of the sheet; only `measured` scans are scored.
    voxels : mapping
        `scan_id` to `root_voxels.npz`.
    k : float
        Of F7.
    formulas : mapping
        The study's own rules (`score.Laboratory`).

    Returns
    -------
    Tables
        A scan at a time is in memory; `agreement` is empty without references.

    Raises
    ------
    UserError
        On a formula that is none, or a damaged file.
    """
    laboratory = Laboratory(k, formulas)
    references = scans.set_index("scan_id").reindex(columns=[READER[q] for q in QUANTITIES])
    rows, on_grid = [], {quantity: {} for quantity in QUANTITIES}
    for scan_id in scans.loc[scans["status"] == "measured", "scan_id"]:
        root = read_voxels(voxels[scan_id])
        rows += laboratory.score(scan_id, root)
        reference_hu, reference_mm3 = references.loc[scan_id].astype(float)
        grid_hu = thresholds_on_grid(root.numbers.luminance_hu)
        if not np.isnan(reference_hu):
            on_grid["threshold_hu"][scan_id] = grid_hu
        if not np.isnan(reference_mm3):
            on_grid["calcium_volume_mm3"][scan_id] = root.volumes_mm3(grid_hu)
    scores = score_table(rows)
    columns = {quantity: READER[quantity] for quantity in QUANTITIES}
    table = agreement_table(scores, scans, columns=columns, rules=list(laboratory.formulas))
    table = whole_cohort(table)
    fits = [
        {"quantity": quantity, "unit": UNITS[quantity]}
        | fit_k(
            np.array(list(found.values())),
            references.loc[list(found), READER[quantity]].to_numpy(float),
            k,
        )
        for quantity, found in on_grid.items()
        if found
    ]
    return Tables(
        scores,
        table[table["scans_with_reference"] > 0],
        pd.DataFrame(fits, columns=list(FIT_COLUMNS)),
    )
