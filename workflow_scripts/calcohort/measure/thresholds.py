"""The threshold rules F1 to F7 of paper 000 (section IV.B, Table 2).

Voxels of the root at or above the threshold are calcium. F1 to F3 are fixed. F4 to F6 follow the
luminance Lm of the blood (after Bettinger et al. 2017, the paper's reference [7]). F7 lifts Lm by
less the nearer it comes to 1000 HU, above which a voxel is calcium by the paper's definition.
"""

from collections.abc import Callable
from dataclasses import dataclass

CALCIUM_HU = 1000.0


@dataclass(frozen=True)
class Rule:
    """A threshold rule: its formula as readers see it, and the function itself.

    Attributes
    ----------
    formula : str
        For tables and axes.
    threshold_hu : callable
        ``(luminance_hu, k) -> threshold_hu``.
    """

    formula: str
    threshold_hu: Callable[[float, float], float]


RULES = {
    "F1": Rule("600 HU", lambda lm, k: 600.0),
    "F2": Rule("700 HU", lambda lm, k: 700.0),
    "F3": Rule("800 HU", lambda lm, k: 800.0),
    "F4": Rule("Lm", lambda lm, k: lm),
    "F5": Rule("1.25 Lm", lambda lm, k: 1.25 * lm),
    "F6": Rule("1.5 Lm", lambda lm, k: 1.5 * lm),
    "F7": Rule("Lm + k (1000 - Lm)", lambda lm, k: lm + k * (CALCIUM_HU - lm)),
}


def thresholds_hu(luminance_hu: float, k: float = 0.2) -> dict[str, float]:
    """Thresholds in HU of all rules at one luminance, in the order F1 to F7."""
    return {name: rule.threshold_hu(luminance_hu, k) for name, rule in RULES.items()}
