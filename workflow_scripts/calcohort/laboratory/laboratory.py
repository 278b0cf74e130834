"""The laboratory of a cohort: all rules scored, compared with readers, k fitted, curves drawn."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from calcohort.agreement.agreement import agreement_table, whole_cohort
from calcohort.agreement.readings import READER, UNITS
from calcohort.laboratory.curves import draw_curves, make_curve
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
    rule: str,
    formulas: Mapping[str, str],
    curves: Path,
) -> Tables:
    """Score every rule on every measured scan and compare with the sheet's reader.

    Parameters
    ----------
    scans : DataFrame
        scans.csv, with the reference columns of the sheet.
    voxels : mapping
        `scan_id` to `root_voxels.npz`; empty (0 bytes) where the scan was not measured.
    k, rule : float, str
        Of F7; the main rule, whose point is marked on the curves.
    formulas : mapping
        The study's own rules (`score.Laboratory`).
    curves : Path
        Folder for the pages of curves.

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
    rows, drawn, on_grid = [], [], {quantity: {} for quantity in QUANTITIES}
    for scan_id, path in voxels.items():
        if not path.stat().st_size:
            continue
        root = read_voxels(path)
        rows += (scored := laboratory.score(scan_id, root))
        chosen_hu = next(row["threshold_hu"] for row in scored if row["rule"] == rule)
        reference_hu, reference_mm3 = references.loc[scan_id].astype(float)
        given_hu = None if np.isnan(reference_hu) else reference_hu
        drawn.append(make_curve(scan_id, root, chosen_hu, given_hu))
        grid_hu = thresholds_on_grid(root.numbers.luminance_hu)
        if given_hu is not None:
            on_grid["threshold_hu"][scan_id] = grid_hu
        if not np.isnan(reference_mm3):
            on_grid["calcium_volume_mm3"][scan_id] = root.volumes_mm3(grid_hu)
    draw_curves(curves, drawn, rule)
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
