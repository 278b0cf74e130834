"""A scan against its reference masks."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcohort import volume
from calcohort.measure.measure import MeasureSettings, measure_calcium
from calcohort.measure.overlap import compare_root, dice
from calcohort.outcomes import OK, Excluded, Reason, read_record


def compare_scan(
    ct_path: Path,
    root_path: Path,
    root_record: Path,
    calcium_path: Path,
    calcium_record: Path,
    *,
    references: dict[str, str | None],
    box_record: Path | None,
    settings: MeasureSettings,
) -> dict[str, Any]:
    """Compare the found root and calcium with the sheet's reference masks.

    Where the scan ended before its root was found, the reference's own numbers stand alone and the
    comparison is null: no Dice of an absent mask.

    Returns
    -------
    dict
        Overlap and distances of the root (`measure.overlap.compare_root`), Dice of the calcium, and
        the calcium of the mask's rule measured in the reference root: what the networks cost.

    Raises
    ------
    Excluded
        When a reference mask is missing, empty or on another grid.
    """
    ct = volume.read(ct_path)
    findings: dict[str, Any] = {}
    if references.get("reference_root_mask"):
        reference = _read_reference(references, "reference_root_mask", ct)
        findings |= _measured_in(ct, reference, settings)
        if read_record(root_record)["status"] == OK:
            root = volume.read_mask(root_path, ct.grid)
            findings |= compare_root(root, reference, ct.grid, box=_box(box_record))
    if references.get("reference_calcium_mask") and read_record(calcium_record)["status"] == OK:
        reference = _read_reference(references, "reference_calcium_mask", ct, may_be_empty=True)
        calcium = volume.read_mask(calcium_path, ct.grid, may_be_empty=True)
        findings["calcium_dice"] = dice(calcium, reference)
    return findings


def _measured_in(ct: volume.Volume, root: Any, settings: MeasureSettings) -> dict[str, Any]:
    try:
        measured, calcium = measure_calcium(ct, root, settings=settings)
    except Excluded as problem:
        return {"reference_root_problem": str(problem)}
    return {
        "luminance_in_reference_root_hu": measured["luminance_hu"],
        "volume_in_reference_root_mm3": float(calcium.sum() * ct.grid.voxel_volume_mm3),
    }


def _read_reference(
    references: Mapping[str, str], column: str, ct: volume.Volume, may_be_empty: bool = False
) -> Any:
    path = Path(references[column])
    if not path.is_file():
        raise Excluded(Reason.NO_FILES, f"the {column} of the sheet does not exist")
    return volume.read_mask(path, ct.grid, may_be_empty=may_be_empty, what=f"the {column}")


def _box(path: Path | None) -> tuple[list[int], list[int]] | None:
    record = read_record(path) if path else {"status": ""}
    if record["status"] != OK:
        return None
    return record["box_start_kji"], record["box_stop_kji"]
