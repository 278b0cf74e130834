"""The agreement table: every quantity and threshold rule against a reference."""

from collections.abc import Mapping

import pandas as pd

from calcohort.agreement.statistics import STATISTICS, agree

RULES = ("F1", "F2", "F3", "F4", "F5", "F6", "F7")
READER = {
    "threshold_hu": "reference_threshold_hu",
    "calcium_volume_mm3": "reference_volume_mm3",
}
UNITS = {"threshold_hu": "HU", "calcium_volume_mm3": "mm³"}
COLUMNS = (
    "reference",
    "quantity",
    "unit",
    "rule",
    "scans_with_reference",
    "n",
    *STATISTICS,
    "note",
)


def pair(
    calcium: pd.DataFrame, sheet: pd.DataFrame, rule: str, quantity: str, column: str
) -> pd.DataFrame:
    """Pair one rule's measurements with the reference values of the same scans.

    Parameters
    ----------
    calcium : DataFrame
        Long form: `scan_id`, `rule`, and `quantity`; one row per scan and rule.
    sheet : DataFrame
        `scan_id`, and `column` where the study has this reference; one row per scan.
    rule, quantity, column : str
        The rule, the measured column of `calcium`, and the reference column of `sheet`.

    Returns
    -------
    DataFrame
        `scan_id`, `automatic`, `reference` of the scans that have a reference, in the sheet's
        order; `automatic` is NaN where the scan was not measured.

    Raises
    ------
    ValueError
        When a scan stands twice in the sheet, or twice under one rule.
    """
    measured = calcium.loc[calcium["rule"] == rule, ["scan_id", quantity]]
    given = sheet.reindex(columns=["scan_id", column]).dropna(subset=[column])
    pairs = given.merge(measured, on="scan_id", how="left", validate="one_to_one")
    return pd.DataFrame(
        {
            "scan_id": pairs["scan_id"],
            "automatic": pairs[quantity].astype(float),
            "reference": pairs[column].astype(float),
        }
    )


def agreement_table(
    calcium: pd.DataFrame,
    sheet: pd.DataFrame,
    *,
    columns: Mapping[str, str] = READER,
    reference: str = "reader",
) -> pd.DataFrame:
    """Compare thresholds and volumes of every rule with a reference.

    Parameters
    ----------
    calcium, sheet : DataFrame
        See `pair`.
    columns : mapping
        Quantity of `calcium` to the column of `sheet` that holds its reference. For another
        reference, for instance a phantom's physical volume, name its columns here.
    reference : str
        Name of the reference, for the first column.

    Returns
    -------
    DataFrame
        `COLUMNS`, one row per quantity and rule. `scans_with_reference` counts the scans that have
        a reference, `n` those of them that were measured: a scan that dropped out is seen.
    """
    rows = []
    for quantity, column in columns.items():
        for rule in RULES:
            pairs = pair(calcium, sheet, rule, quantity, column)
            both = pairs.dropna()
            identity = {
                "reference": reference,
                "quantity": quantity,
                "unit": UNITS[quantity],
                "rule": rule,
                "scans_with_reference": len(pairs),
            }
            rows.append(identity | agree(both["automatic"], both["reference"]))
    return pd.DataFrame(rows, columns=list(COLUMNS))
