"""Outcomes: what became of a scan at a stage, as data that flows down the chain.

A stage writes one JSON *record* per scan. Its `status` is `ok`, `excluded` (a foreseeable
problem, named by a `Reason`) or `failed` (an unforeseen one). Later stages pass a record that
is not `ok` on unchanged, so that the cohort table can tell where and why every scan ended.
"""

import contextlib
import errno
import json
import logging
import os
import tempfile
import traceback
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

OK, EXCLUDED, FAILED = "ok", "excluded", "failed"
MACHINE_TROUBLE = {
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOMEM, errno.EROFS, errno.EMFILE
}  # fmt: skip


class Reason(StrEnum):
    """The closed list of reasons for which a scan is not measured."""

    def __new__(cls, value: str, meaning: str) -> "Reason":
        """Make a member whose string value comes with the sentence users read."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    NO_FILES = "no_files", "the folder or file of the sheet is missing or holds no image"
    UNREADABLE = "unreadable", "a file cannot be read or is truncated"
    MIXED_PATIENTS = "mixed_patients", "the folder mixes several patients"
    NOT_CT = "not_ct", "no series of the folder is CT"
    NO_AXIAL_SERIES = "no_axial_series", "only localizers, derived or non-axial images"
    SERIES_NOT_FOUND = "series_not_found", "the series_uid of the sheet is not in the folder"
    NOT_CONVERTIBLE = (
        "not_convertible",
        "valid DICOM of a kind that is not converted, an unsupported compression for instance",
    )
    NO_PIXEL_SPACING = "no_pixel_spacing", "positions, orientation or pixel spacing are missing"
    MIXED_SLICES = "mixed_slices", "the series mixes orientations, sizes or pixel spacings"
    TILTED = "tilted", "the gantry is tilted: slices are not stacked along their normal"
    MISSING_SLICES = "missing_slices", "slices are missing"
    UNEVEN_SLICES = "uneven_slices", "the slice spacing changes"
    DUPLICATE_SLICES = "duplicate_slices", "several slices lie at one position"
    TOO_FEW_SLICES = "too_few_slices", "too few slices for the aortic root"
    TOO_THICK_SLICES = "too_thick_slices", "the slice spacing is above the configured limit"
    TOO_COARSE_PIXELS = "too_coarse_pixels", "the pixel spacing is above the configured limit"
    NOT_HOUNSFIELD = "not_hounsfield", "rescale slope, intercept or values are not Hounsfield units"
    BURNED_IN = "burned_in", "text or graphics are burned into the pixels, as the header says"
    CONVERSION_MISMATCH = (
        "conversion_mismatch",
        "the converted image differs from the DICOM in geometry or values",
    )
    ROOT_NOT_FOUND = "root_not_found", "no aortic root was found"
    ROOT_AT_EDGE = "root_at_edge", "the aortic root touches the edge of the scan"
    ROOT_IMPLAUSIBLE = (
        "root_implausible",
        "what was found is not of an aortic root's size, or the networks disagree about it",
    )
    MASK_ON_OTHER_GRID = "mask_on_other_grid", "a given mask does not lie on the scan's grid"
    MASK_EMPTY = "mask_empty", "a given mask is empty or not binary"
    METAL_IN_ROOT = (
        "metal_in_root",
        "the root holds metal, a valve prosthesis for instance, that would count as calcium",
    )
    NO_CONTRAST = "no_contrast", "the luminance of the root is too low for contrast"
    LUMINANCE_TOO_HIGH = "luminance_too_high", "the luminance is 1000 HU or more: F7 has no meaning"
    LUMINANCE_UNMEASURABLE = (
        "luminance_unmeasurable",
        "no place in the root holds the luminance cube without calcium",
    )
    TOO_NOISY = (
        "too_noisy",
        "noise alone would lift much blood above the threshold, to be counted as calcium",
    )
    REJECTED_BY_REVIEWER = (
        "rejected_by_reviewer",
        "a reviewer rejected the scan after a look at its picture",
    )
    CRASHED = "crashed", "an unforeseen error; the traceback is in the stage's log"
    LOST = "lost", "its process was killed twice: out of memory, out of time, or a crash"


class Excluded(Exception):
    """A foreseeable problem of one scan.

    Parameters
    ----------
    reason : Reason
        Why the scan cannot be measured.
    detail : str
        One sentence for the user: what was found, where, and what to do.
    """

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail

    def __reduce__(self) -> tuple:
        """Pickle by both arguments, so that it comes back from another process."""
        return Excluded, (self.reason, self.detail)


class Lost(Exception):
    """A scan whose work was killed too often to be tried again."""


class UserError(Exception):
    """A foreseeable mistake in the set-up (sheet, config, weights): one sentence, no traceback."""


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path` that replaces it when the block ends well.

    The temporary name ends like `path`, so that writers which look at the suffix work.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".writing-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        os.replace(temporary, path)


def write_record(path: Path, record: dict[str, Any], mode: int | None = None) -> None:
    """Write `record` as sorted JSON, whole or not at all; NaN is refused (ValueError).

    `mode` are the file's permissions, else the user's usual ones.
    """
    text = json.dumps(record, indent=1, sort_keys=True, allow_nan=False, default=_plain)
    with atomic_path(path) as temporary:
        temporary.touch(0o666 if mode is None else mode)
        temporary.write_text(text + "\n", encoding="utf-8")


def read_record(path: Path) -> dict[str, Any]:
    """Read a record written by `write_record`."""
    return json.loads(Path(path).read_text(encoding="utf-8"))


def _plain(value: Any) -> Any:
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not belong in a record")


def run_stage(
    stage: str,
    scan_id: str,
    work: Callable[[], dict[str, Any]],
    record: Path,
    upstream: Iterable[Path] = (),
    images: Iterable[Path] = (),
) -> dict[str, Any]:
    """Run one stage of one scan and write its record, whatever happens to the scan.

    Parameters
    ----------
    stage : str
        The stage's name.
    scan_id : str
        The scan's identity, as in the sheet.
    work : callable
        Does the stage's work, writes `images`, and returns its findings (plain values).
    record : Path
        Where the record goes.
    upstream : iterable of Path
        Records of earlier stages. The first that is not `ok` is passed on and `work` is not run.
    images : iterable of Path
        Files that `work` writes. Where the scan ends before they exist, an empty file (0 bytes)
        stands in their place: no reader can take it for an image.

    Returns
    -------
    dict
        The record: `scan_id`, `status`, `stage`, `reason`, `detail`, and the findings.

    Raises
    ------
    UserError, MemoryError, OSError
        Trouble of the set-up or the machine (wrong weights, no memory, full disk): it is not the
        scan's, so no record is written and the job fails, to be run again.
    """
    result = next((r for r in map(read_record, upstream) if r["status"] != OK), None)
    if result is not None:
        keys = ("status", "stage", "reason", "detail")
        result = {"scan_id": scan_id} | {key: result[key] for key in keys}
    else:
        result = _attempt(stage, scan_id, work)
    if result["status"] != OK:
        for image in images:
            with atomic_path(image) as temporary:
                temporary.touch()
        log.warning(
            "%s: %s at %s, %s: %s",
            *(result[k] for k in ("scan_id", "status", "stage", "reason", "detail")),
        )
    write_record(record, result)
    return result


def run_lost(
    stage: str, scan_id: str, _work: Callable[[], dict[str, Any]], **files: Any
) -> dict[str, Any]:
    """Write the record of a scan that is given up; like `run_stage`, but the work is not done."""

    def give_up() -> dict[str, Any]:
        raise Lost("its process was killed twice; the job's logs say where")

    return run_stage(stage, scan_id, give_up, **files)


def _attempt(stage: str, scan_id: str, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    result = {"scan_id": scan_id, "status": OK, "stage": stage, "reason": "", "detail": ""}
    try:
        return result | work()
    except Excluded as problem:
        return result | {
            "status": EXCLUDED,
            "reason": problem.reason.value,
            "detail": problem.detail,
        }
    except Lost as problem:
        return result | {"status": FAILED, "reason": Reason.LOST.value, "detail": str(problem)}
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno in MACHINE_TROUBLE:
            raise
        log.exception("%s: unforeseen error at %s", scan_id, stage)
        return result | {
            "status": FAILED,
            "reason": Reason.CRASHED.value,
            "detail": f"{type(error).__name__} {_place(error)}",
        }


def _place(error: Exception) -> str:
    """Tell where in this library an error arose, and not what it says: that may quote a header."""
    frames = traceback.extract_tb(error.__traceback__)
    library = Path(__file__).parent
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(library)]
    last = own[-1]
    return f"in {Path(last.filename).relative_to(library.parent)}, line {last.lineno}"
