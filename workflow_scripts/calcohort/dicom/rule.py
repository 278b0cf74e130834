"""The written rule by which one series is taken of several: what is admitted, what is preferred."""

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from calcohort.dicom.facts import BEST_DIASTOLE_PERCENT, Summary

NAMES = {
    "min_slices": "enough slices",
    "contrast": "contrast agent",
    "slice_spacing_mm": "slice spacing",
    "phase_percent": "cardiac phase",
    "kernel": "kernel",
    "images": "number of slices",
    "pixel_spacing_mm": "pixel spacing",
    "series_number": "series number",
}
DEFAULT = (
    ("min_slices", 32),
    ("contrast", True),
    ("slice_spacing_mm", "smallest"),
    ("phase_percent", BEST_DIASTOLE_PERCENT),
    ("images", "largest"),
    ("pixel_spacing_mm", "smallest"),
    ("series_number", "smallest"),
)


@dataclass(frozen=True)
class Rule:
    """Which series may be taken, and which of them is.

    Attributes
    ----------
    admit : tuple of str
        Kinds of series that are candidates.
    prefer : tuple of (criterion, wanted)
        The first that tells two candidates apart decides; the order of the UIDs comes last.
        `wanted` is the least number (`min_slices`), true or false (`contrast`), a list of name
        patterns, the best first (`kernel`), or for the others `smallest`, `largest` or the number
        to be near to.
    """

    admit: tuple[str, ...] = ("axial", "multi-frame")
    prefer: tuple[tuple[str, Any], ...] = DEFAULT

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Rule":
        """Make the rule of the config's `choose`."""
        prefer = tuple(pair for line in settings["prefer"] for pair in line.items())
        return cls(tuple(settings["admit"]), prefer)

    def rank(self, summary: Summary) -> tuple:
        """Return what sorts the candidates, the best first."""
        wanted = (_worse(name, wanted, summary) for name, wanted in self.prefer)
        return (*wanted, summary.facts.series)

    def phase_distance(self, percent: float) -> float:
        """How far a cardiac phase is from the preferred one, 75 % where `prefer` has none."""
        return _far(percent, dict(self.prefer).get("phase_percent", BEST_DIASTOLE_PERCENT))

    def decider(self, best: tuple, other: tuple) -> str:
        """Name the criterion by which `other` ranks behind `best`."""
        names = [*(NAMES[name] for name, _ in self.prefer), "order of UIDs"]
        pairs = zip(names, best, other, strict=True)
        return next((name for name, mine, theirs in pairs if mine != theirs), "order of UIDs")


DEFAULT_RULE = Rule()


def _worse(criterion: str, wanted: Any, summary: Summary) -> Any:
    """How far a series is from what is wanted; what it does not tell is farthest."""
    facts = summary.facts
    if criterion == "min_slices":
        return summary.images < wanted
    if criterion == "contrast":
        return facts.contrast is not wanted
    if criterion == "kernel":
        kernel = (facts.kernel or "").casefold()
        matches = (i for i, p in enumerate(wanted) if fnmatch.fnmatchcase(kernel, p.casefold()))
        return next(matches, len(wanted))
    value = {
        "slice_spacing_mm": _rounded(summary.slice_spacing_mm, 2),
        "phase_percent": facts.phase_percent,
        "images": summary.images,
        "pixel_spacing_mm": _rounded(max(facts.pixel_spacing_mm or [np.inf]), 3),
        "series_number": facts.series_number,
    }[criterion]
    return np.inf if value is None else _far(value, wanted)


def _far(value: float, wanted: Any) -> float:
    if wanted == "largest":
        return -value
    return value if wanted == "smallest" else abs(value - wanted)


def _rounded(value: float | None, decimals: int) -> float | None:
    return None if value is None else round(float(value), decimals)
