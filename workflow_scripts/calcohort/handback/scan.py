"""Hand back one scan: from its results and its source to DICOM objects of its study."""

import hashlib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pydicom

from calcohort import __version__, volume
from calcohort.dicom.find import Image
from calcohort.handback.identity import Identity
from calcohort.handback.seg import make_calcium_seg, make_root_seg
from calcohort.handback.source import Refused, find_images, headers_of, opened, place_images
from calcohort.handback.sr import formula, make_sr
from calcohort.outcomes import OK, atomic_path, read_record

RECORDS = ("series.json", "root.json", "calcium.json")
IMAGES = ("ct.nii.gz", "root_mask.nii.gz", "calcium_mask.nii.gz")
OBJECTS = {"root": "seg_root.dcm", "calcium": "seg_calcium.dcm", "sr": "sr.dcm"}
"""Kind to file name; a root without calcium has no object of the kind ``calcium``."""
OBJECTS_VERSION = 2
"""Raise it when the same results shall make other objects: they get other UIDs."""


@dataclass(frozen=True)
class HandedBack:
    """What became of one scan.

    `outcome` is ``written``, ``unchanged`` (the objects of these results are there already),
    ``not_measured`` or ``refused``; `detail` is one sentence for the latter two.
    """

    scan_id: str
    outcome: str
    detail: str = ""


def hand_back_scan(
    scan_id: str, results: Path, source: Path, folder: Path, *, key: bytes, max_archive_bytes: float
) -> HandedBack:
    """Write the masks and measurements of a scan as DICOM objects of its own study.

    Parameters
    ----------
    scan_id : str
        The scan.
    results : Path
        Its folder of results.
    source : Path
        Its DICOM, as the sheet names it.
    folder : Path
        Where its objects go (`OBJECTS`). They name the patient.
    key : bytes
        The study's key, by which the converted series is known again.
    max_archive_bytes : float
        Most that a zip may unpack to.

    Notes
    -----
    A scan that was not measured gets no object: an archive's reader must never take a missing
    measurement for a measured 0. What an earlier run wrote for it is removed.
    """
    records = {name: read_record(results / name) for name in RECORDS if (results / name).is_file()}
    ended = next((r for r in records.values() if r["status"] != OK), None)
    if ended or len(records) < len(RECORDS):
        _remove(folder)
        why = ended["reason"] if ended else "the chain has not come to its end"
        return HandedBack(scan_id, "not_measured", why)
    identity = _identity(results)
    if _holds(folder, records["calcium.json"], identity):
        return HandedBack(scan_id, "unchanged")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with opened(source, folder, max_archive_bytes) as found:
            images = find_images(found, records["series.json"], key)
            _write(results, folder, images, records, identity)
    except Refused as problem:
        _remove(folder)
        return HandedBack(scan_id, "refused", str(problem))
    return HandedBack(scan_id, "written")


def _write(
    results: Path,
    folder: Path,
    images: tuple[Image, ...],
    records: dict[str, dict],
    identity: Identity,
) -> None:
    ct = volume.read(results / "ct.nii.gz")
    root = volume.read_mask(results / "root_mask.nii.gz", ct.grid)
    calcium = volume.read_mask(results / "calcium_mask.nii.gz", ct.grid, may_be_empty=True)
    measured = records["calcium.json"]
    error_mm = records["series.json"]["position_error_mm"] or 0.0
    placed = [i for i in place_images(images, ct, error_mm) if i.of(root).any()]
    root_seg = make_root_seg(placed, root, identity=identity, root_source=measured["root_source"])
    made = {"root": root_seg}
    if calcium.any():
        rule = formula(measured, measured["mask_rule"])
        made["calcium"] = make_calcium_seg(placed, calcium, identity=identity, rule=rule)
    made["sr"] = make_sr(
        headers_of(placed), root_seg, made.get("calcium"), measured, identity=identity
    )
    _remove(folder)
    for kind, dataset in made.items():
        with atomic_path(folder / OBJECTS[kind]) as temporary:
            dataset.save_as(temporary)


def objects_in(folder: Path) -> list[Path]:
    """Objects that lie in a scan's folder, what the report refers to before the report."""
    return [path for name in OBJECTS.values() if (path := folder / name).is_file()]


def _identity(results: Path) -> Identity:
    digest = hashlib.sha256(f"{__version__} {OBJECTS_VERSION}".encode())
    for name in (*RECORDS, *IMAGES):
        digest.update(hashlib.sha256((results / name).read_bytes()).digest())
    measured = datetime.fromtimestamp((results / "calcium.json").stat().st_mtime)
    return Identity(digest.hexdigest(), measured.replace(microsecond=0), __version__)


def _holds(folder: Path, calcium: dict[str, Any], identity: Identity) -> bool:
    """Tell whether the folder holds the objects of these very results."""
    volumes_mm3 = {rule["rule"]: rule["calcium_volume_mm3"] for rule in calcium["rules"]}
    without = set() if volumes_mm3[calcium["mask_rule"]] > 0 else {"calcium"}
    tags = ["SOPInstanceUID"]
    uids = [pydicom.dcmread(p, specific_tags=tags).SOPInstanceUID for p in objects_in(folder)]
    return uids == [identity.uid(kind) for kind in OBJECTS if kind not in without]


def _remove(folder: Path) -> None:
    for path in folder.glob("*.dcm"):
        path.unlink()
