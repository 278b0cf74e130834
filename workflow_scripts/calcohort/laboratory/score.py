"""Score every rule on every scan from the stored voxels."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from calcohort.laboratory.formula import evaluate, parse
from calcohort.laboratory.voxels import Numbers, RootVoxels
from calcohort.measure import RULES, thresholds_hu
from calcohort.outcomes import UserError

PUBLISHED = {
    "650": "650",
    "850": "850",
    "Lm+50": "Lm + 50",
    "Lm+100": "Lm + 100",
    "450/850": "450 if outflow < 300 else 850",
}
"""Thresholds in use for contrast CT beside F1 to F7, in HU (docs/laboratory.md names sources)."""

COLUMNS = ("scan_id", "rule", "threshold_hu", "calcium_volume_mm3")


class Laboratory:
    """All rules of a study, ready to be scored.

    Parameters
    ----------
    k : float
        Of F7, and of users' formulas.
    formulas : mapping
        Name to formula of the study's own rules (`formula`).

    Attributes
    ----------
    formulas : dict
        Name to formula of every rule, as readers see it, F1 first.

    Raises
    ------
    UserError
        When a formula is none, or has the name of a rule that exists.
    """

    def __init__(self, k: float, formulas: Mapping[str, str] | None = None) -> None:
        formulas = formulas or {}
        taken = set(RULES) | set(PUBLISHED)
        if twice := sorted(taken & set(formulas)):
            raise UserError(f"config: laboratory.rules: {', '.join(twice)} exists already")
        self.k = k
        further = PUBLISHED | dict(formulas)
        self.formulas = {name: rule.formula for name, rule in RULES.items()} | further
        self._trees = {name: parse(name, str(text)) for name, text in further.items()}

    def thresholds_hu(self, numbers: Numbers) -> dict[str, float]:
        """Thresholds of all rules for one scan."""
        values = {
            "Lm": numbers.luminance_hu,
            "sd": numbers.luminance_sd_hu,
            "outflow": numbers.outflow_hu,
            "k": self.k,
        }
        own = {name: evaluate(name, tree, values) for name, tree in self._trees.items()}
        return thresholds_hu(numbers.luminance_hu, self.k) | own

    def score(self, scan_id: str, voxels: RootVoxels) -> list[dict[str, float | str]]:
        """Rows of `COLUMNS`, one per rule."""
        thresholds = self.thresholds_hu(voxels.numbers)
        volumes = voxels.volumes_mm3(np.array(list(thresholds.values())))
        return [
            {"scan_id": scan_id, "rule": rule, "threshold_hu": hu, "calcium_volume_mm3": mm3}
            for (rule, hu), mm3 in zip(thresholds.items(), volumes.tolist(), strict=True)
        ]


def score_table(rows: Iterable[Mapping]) -> pd.DataFrame:
    """Make laboratory.csv of the rows of `Laboratory.score`."""
    return pd.DataFrame(rows, columns=list(COLUMNS))
