"""What is asked of the networks on phantoms, and whether it was reached."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from calcohort.agreement.statistics import agree


@dataclass(frozen=True)
class Line:
    """One line of the acceptance.

    Attributes
    ----------
    asked : str
        What was asked.
    value : float
        What was measured on the scans that have a value; NaN for none.
    limit : float
        The least value, or the most where `at_most`.
    decimals : int
        Of `value` in the table.
    missing : int
        Scans that should have a value and have none: they leave the line unmet.
    """

    asked: str
    value: float
    limit: float
    decimals: int
    at_most: bool = False
    missing: int = 0

    @property
    def is_met(self) -> bool:
        """Tell whether no scan is missing and the value keeps the limit; NaN does not."""
        return not self.missing and bool(
            self.value <= self.limit if self.at_most else self.value >= self.limit
        )


FOUND, TRUE = "volume_in_found_root_mm3", "volume_in_reference_root_mm3"


def acceptance(found: pd.DataFrame) -> list[Line]:
    """Hold the scans against the lines asked for.

    Parameters
    ----------
    found : DataFrame
        One row per phantom: `status`, `dice`, `hd95_mm`, `box_coverage`,
        `volume_in_found_root_mm3`, `volume_in_reference_root_mm3`. NaN, where a scan has no value,
        leaves a line unmet; but a scan that F7 cannot measure in the true root either (no contrast,
        metal, noise, no place for the luminance cube) is rightly excluded, and has no volume to
        compare.
    """
    measurable = found[TRUE].notna()
    rootless, unboxed = (int(found[key].isna().sum()) for key in ("dice", "box_coverage"))
    volumeless = int(found.loc[measurable, FOUND].isna().sum())
    cost = network_cost(found)
    r2, mae, low, high = (
        np.nan if cost.get(key) is None else cost[key]
        for key in ("r2", "mae", "bias_ci_low", "bias_ci_high")
    )
    from_zero = max(low, -high)
    right = int(((found["status"] == "measured") | (~measurable & found["dice"].notna())).sum())
    all_right = f"phantoms measured, or not measurable in the true root either: all {len(found)}"
    return [
        Line(all_right, right, len(found), 0),
        Line(
            "share of the root in the box, least: ≥ 0.999",
            found["box_coverage"].min(), 0.999, 4, missing=unboxed,
        ),
        Line("Dice of the root, mean: ≥ 0.94", found["dice"].mean(), 0.94, 4, missing=rootless),
        Line("Dice of the root, least: ≥ 0.88", found["dice"].min(), 0.88, 4, missing=rootless),
        Line(
            "95 % surface distance, mean: ≤ 1.5 mm",
            found["hd95_mm"].mean(), 1.5, 2, at_most=True, missing=rootless,
        ),
        Line(
            "F7 volume in the found against the true root, R²: ≥ 0.99",
            r2, 0.99, 4, missing=volumeless,
        ),
        Line("the same, MAE: ≤ 6 mm³", mae, 6.0, 2, at_most=True, missing=volumeless),
        Line(
            "the same, bias: its 95 % interval's distance from 0 (mm³; below 0, it holds 0): ≤ 0",
            from_zero, 0.0, 2, at_most=True, missing=volumeless,
        ),
    ]  # fmt: skip


def network_cost(found: pd.DataFrame) -> dict:
    """Agreement of F7's volume in the found root with that in the true root, of scans with both."""
    return agree(*found[[FOUND, TRUE]].dropna().to_numpy().T)
