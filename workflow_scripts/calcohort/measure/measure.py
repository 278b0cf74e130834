"""Measure the calcium of a root: luminance, the seven thresholds, and calcium at each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtr

from calcohort.measure.lesions import NEIGHBOURS, measure_lesions
from calcohort.measure.luminance import PAPER_CUBE_MM, measure_luminance
from calcohort.measure.scores import Scoring, rule_scores
from calcohort.measure.thresholds import CALCIUM_HU, RULES, thresholds_hu
from calcohort.outcomes import Excluded, Reason, UserError
from calcohort.volume import Volume, bounding_slices

LEAST_METAL_MM3 = 1.0


@dataclass(frozen=True)
class MeasureSettings:
    """The study's choices for measuring; the defaults are those of paper 000, section IV.B.

    Attributes
    ----------
    k : float
        Of F7, from 0 to 1.
    mask_rule : str
        The rule whose calcium mask is returned.
    min_luminance_hu : float
        Below it the scan has no contrast. The paper's scans lie far above (about 580 HU).
    metal_hu : float
        Voxels of at least this are metal: dense calcium stays below, a valve prosthesis
        reaches the end of a scanner's scale, mostly 3071 HU.
    max_noise_volume_mm3 : float or None
        Blood that noise alone may lift above the threshold of `mask_rule`; None is no limit. The
        default was chosen on wide phantoms of seeds 401 to 435 (docs/measure.md).
    cube_sides_mm, min_cube_in_root, max_bright_fraction
        See `luminance.measure_luminance`.
    connectivity, min_lesion_voxels
        See `lesions.measure_lesions`.
    """

    k: float = 0.2
    mask_rule: str = "F7"
    min_luminance_hu: float = 200.0
    metal_hu: float = 2500.0
    max_noise_volume_mm3: float | None = 300.0
    cube_sides_mm: Sequence[float] = PAPER_CUBE_MM
    min_cube_in_root: float = 0.95
    max_bright_fraction: float = 0.05
    connectivity: int = 26
    min_lesion_voxels: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that have no meaning."""
        checks = {
            "k": (0 <= self.k <= 1, "from 0 to 1"),
            "mask_rule": (self.mask_rule in RULES, f"one of {', '.join(RULES)}"),
            "cube_sides_mm": (
                len(self.cube_sides_mm) == 3 and min(self.cube_sides_mm) > 0,
                "three lengths above 0",
            ),
            "metal_hu": (self.metal_hu > CALCIUM_HU, f"above {CALCIUM_HU:.0f}"),
            "max_noise_volume_mm3": (
                self.max_noise_volume_mm3 is None or self.max_noise_volume_mm3 > 0,
                "above 0 or null",
            ),
            "min_cube_in_root": (0 < self.min_cube_in_root <= 1, "above 0 and at most 1"),
            "max_bright_fraction": (0 <= self.max_bright_fraction < 1, "from 0 to below 1"),
            "connectivity": (self.connectivity in NEIGHBOURS, "6, 18 or 26"),
            "min_lesion_voxels": (self.min_lesion_voxels >= 0, "0 or more"),
        }
        for name, (good, wanted) in checks.items():
            if not good:
                raise UserError(f"measure: {name} is {getattr(self, name)!r}, not {wanted}")


def measure_calcium(
    ct: Volume, root: np.ndarray, *, settings: MeasureSettings, scoring: Scoring | None = None
) -> tuple[dict[str, Any], np.ndarray]:
    """Measure the calcium of the aortic root by all rules.

    Parameters
    ----------
    ct : Volume
        HU, ``[k, j, i]``, with any affine.
    root : ndarray of bool, ``[k, j, i]``
        Root mask on the grid of `ct`.
    settings : MeasureSettings
    scoring : Scoring, optional
        With it, each rule has its Agatston score and its mass too.

    Returns
    -------
    findings : dict
        `root_volume_mm3`; the keys of `measure_luminance`; `k`, `mask_rule`; and `rules`, a list
        of one dict per rule, F1 to F7: `rule`, the keys of `measure_lesions`, what
        `noise_volume_mm3` returns, and with `scoring` the keys of `scores.rule_scores`.
    calcium : ndarray of bool, ``[k, j, i]``
        Calcium at the threshold of `settings.mask_rule`.

    Raises
    ------
    Excluded
        `mask_on_other_grid`, `root_not_found`, `metal_in_root` (1 mm³ of it or more: every rule
        would count it as calcium), `luminance_unmeasurable`, `luminance_too_high` (Lm of 1000 HU
        or more: F7 would fall below Lm), `no_contrast` (Lm below the configured least),
        `too_noisy` (noise alone would give more than the configured volume).
    """
    if root.shape != ct.array.shape:
        raise Excluded(
            Reason.MASK_ON_OTHER_GRID,
            f"the root mask has shape {root.shape}, the scan {ct.array.shape}",
        )
    if not root.any():
        raise Excluded(Reason.ROOT_NOT_FOUND, "the root mask is empty")
    box = bounding_slices(root)
    hu, inside, voxel_mm3 = ct.array[box], root[box], ct.grid.voxel_volume_mm3
    metal_mm3 = voxel_mm3 * np.count_nonzero(inside & (hu >= settings.metal_hu))
    if metal_mm3 >= LEAST_METAL_MM3:
        raise Excluded(
            Reason.METAL_IN_ROOT,
            f"{metal_mm3:.1f} mm³ of the root reach {settings.metal_hu:.0f} HU, as metal does",
        )
    luminance = measure_luminance(
        ct,
        root,
        cube_sides_mm=settings.cube_sides_mm,
        min_cube_in_root=settings.min_cube_in_root,
        max_bright_fraction=settings.max_bright_fraction,
    )
    lm = luminance["luminance_hu"]
    if lm >= CALCIUM_HU:
        raise Excluded(
            Reason.LUMINANCE_TOO_HIGH,
            f"the luminance is {lm:.1f} HU, F7 needs less than {CALCIUM_HU:.0f} HU",
        )
    if lm < settings.min_luminance_hu:
        raise Excluded(
            Reason.NO_CONTRAST,
            f"the luminance is {lm:.1f} HU, contrast gives at least "
            f"{settings.min_luminance_hu:.0f} HU",
        )
    root_mm3 = voxel_mm3 * np.count_nonzero(inside)
    calcium, rules = np.zeros(root.shape, dtype=bool), []
    for rule, threshold in thresholds_hu(lm, settings.k).items():
        lesions, mask = measure_lesions(
            hu, inside, threshold, voxel_mm3, settings.connectivity, settings.min_lesion_voxels
        )
        scores = rule_scores(hu, mask, ct.grid, scoring) if scoring else {}
        noise_mm3 = noise_volume_mm3(lm, luminance["noise_hu"], threshold, root_mm3)
        rules.append({"rule": rule} | lesions | {"noise_volume_mm3": round(noise_mm3, 3)} | scores)
        if rule == settings.mask_rule:
            calcium[box] = mask
            _check_noise(noise_mm3, rule, luminance, settings)
    findings = {
        "root_volume_mm3": root_mm3,
        "k": settings.k,
        "mask_rule": settings.mask_rule,
        "rules": rules,
    }
    return luminance | findings, calcium


def noise_volume_mm3(
    luminance_hu: float, noise_hu: float, threshold_hu: float, root_volume_mm3: float
) -> float:
    """Volume of blood that noise alone is expected to lift to a threshold, and so to calcium.

    ``Phi((Lm - threshold) / s)`` of the root, `Phi` the normal distribution and `s` the noise.
    """
    share = ndtr((luminance_hu - threshold_hu) / noise_hu)
    return float(share * root_volume_mm3)


def _check_noise(
    noise_mm3: float, rule: str, luminance: Mapping[str, float], settings: MeasureSettings
) -> None:
    limit_mm3 = settings.max_noise_volume_mm3
    if limit_mm3 is not None and noise_mm3 > limit_mm3:
        raise Excluded(
            Reason.TOO_NOISY,
            f"noise of {luminance['noise_hu']:.0f} HU about a luminance of "
            f"{luminance['luminance_hu']:.0f} HU would give {noise_mm3:.0f} mm³ by {rule} without "
            f"any calcium; at most {limit_mm3:g} mm³ are allowed (max_noise_volume_mm3)",
        )
