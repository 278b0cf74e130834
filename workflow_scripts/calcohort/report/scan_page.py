"""The page of one scan: a viewer of the root's surroundings, thresholds, and the numbers.

Everything of the scan is inside the page, because a page opened from a folder may not read files.
The viewer's scripts are shared (`templates.ASSETS`) and lie beside the cohort's report.
"""

import base64
import gzip
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from calcohort.laboratory.voxels import RootVoxels
from calcohort.outcomes import OK, atomic_path
from calcohort.report.templates import POLICY, render
from calcohort.volume import Volume, bounding_slices

MARGIN_MM = 10.0
THRESHOLDS_HU = np.arange(300, 1301, 10)
STEP_HU = 8
SHOWN_HU = (-256, 1344)
COHORT = "../../cohort"
"""From the folder of a scan to that of the cohort."""


def write_scan_page(
    path: Path,
    *,
    record: Mapping[str, Any],
    ct: Volume | None,
    root: np.ndarray | None,
    voxels: RootVoxels | None,
    reference: Mapping[str, float | None],
    picture: str,
    outside: str = "",
) -> None:
    """Write the page of one scan; without a viewer where the scan was not measured.

    Parameters
    ----------
    path : Path
        The HTML file; written whole or not at all.
    record : mapping
        Of the stage measure.
    ct : Volume or None
        The scan, HU, canonical orientation.
    root : ndarray of bool, ``[k, j, i]``, or None
        On the scan's grid.
    voxels : RootVoxels or None
        What the stage measure stored of the root.
    reference : mapping
        `threshold_hu` and `volume_mm3` of the sheet's reader, None where it has none.
    picture : str
        The QC picture's file beside the page.
    outside : str
        Which ranges of the networks' training scans it left, in words (`applicability.tell_left`).
    """
    ok = record["status"] == OK
    html = render(
        "scan.html.j2",
        policy=POLICY,
        assets=f"{COHORT}/assets",
        cohort=COHORT,
        record=record,
        status="measured" if ok else record["status"],
        view=_view(record, ct, root, voxels, reference) if ok else None,
        picture=picture,
        outside=outside,
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def _view(record, ct: Volume, root: np.ndarray, voxels: RootVoxels, reference) -> dict[str, Any]:
    points = _points(record, voxels, reference["threshold_hu"])
    crop, inside = crop_for_view(ct, root)
    return {
        "points": points,
        "reference_volume_mm3": reference["volume_mm3"],
        "step_hu": STEP_HU,
        "ct": _embed(crop),
        "root": _embed(inside),
        "data": {
            "luminance_hu": record["luminance_hu"],
            "threshold_hu": next(p["threshold_hu"] for p in points if p["kind"] == "main"),
            "connectivity": voxels.numbers.connectivity,
            "min_lesion_voxels": voxels.numbers.min_lesion_voxels,
            "voxel_volume_mm3": voxels.numbers.voxel_volume_mm3,
            "curve": {
                "thresholds_hu": THRESHOLDS_HU.tolist(),
                "volumes_mm3": voxels.volumes_mm3(THRESHOLDS_HU).tolist(),
            },
            "points": points,
        },
    }


def _points(
    record: Mapping[str, Any], voxels: RootVoxels, reference_hu: float | None
) -> list[dict[str, Any]]:
    """Thresholds that rules and reader choose, with their calcium, in the order of the table."""
    chosen = [
        (rule["rule"], "main" if rule["rule"] == record["mask_rule"] else "rule", rule)
        for rule in record["rules"]
    ]
    if reference_hu is not None:
        chosen.append(("reader", "reader", voxels.lesions([reference_hu])[0]))
    keys = ("threshold_hu", "calcium_volume_mm3", "lesion_count")
    unsure = ("volume_low_mm3", "volume_high_mm3", "noise_volume_mm3")
    return [
        {"name": name, "kind": kind}
        | {key: findings[key] for key in keys}
        | {key: findings.get(key) for key in unsure}
        for name, kind, findings in chosen
    ]


def crop_for_view(ct: Volume, root: np.ndarray) -> tuple[Volume, Volume]:
    """Cut the root with a margin of 10 mm out of a scan.

    HU of the root's voxels stay exact; those around it are clipped to `SHOWN_HU` and rounded to
    `STEP_HU`, which halves the page.

    Returns
    -------
    crop, root : Volume
        HU of the scan's type, and the mask (uint8), on one grid ``[k, j, i]``.
    """
    margins = np.ceil(MARGIN_MM / ct.grid.spacing_mm).astype(int)
    box = tuple(
        slice(max(s.start - margin, 0), min(s.stop + margin, n))
        for s, margin, n in zip(bounding_slices(root), margins, root.shape, strict=True)
    )
    exact, inside = ct.array[box], root[box]
    around = np.clip(np.round(exact / STEP_HU) * STEP_HU, *SHOWN_HU).astype(exact.dtype)
    affine = ct.grid.window(tuple(s.start for s in box), inside.shape).affine
    crop = np.where(inside, exact, around)
    return Volume(crop, affine), Volume(inside.astype(np.uint8), affine)


def _embed(image: Volume) -> str:
    """Return a volume as gzipped NIfTI in base64; equal volumes give equal text."""
    nifti = nib.Nifti1Image(image.array.T, image.affine, dtype=image.array.dtype)
    return base64.b64encode(gzip.compress(nifti.to_bytes(), 6, mtime=0)).decode("ascii")
