"""From a scan and its root mask to calcium: luminance, thresholds, lesions, and mask overlap."""

from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.measure.overlap import compare_masks, compare_root
from calcohort.measure.thresholds import RULES, thresholds_hu

__all__ = [
    "RULES",
    "MeasureSettings",
    "compare_masks",
    "compare_root",
    "measure_calcium",
    "thresholds_hu",
]
