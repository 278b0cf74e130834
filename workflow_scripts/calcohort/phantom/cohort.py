"""A cohort of phantoms on disk: DICOM series, the truth, and the sheet the workflow reads.

Each finished phantom has ``truth/{scan_id}.json``, written last. A run that was killed goes on
with the phantoms that have none, or one of other code or another plan.
"""

import csv
import hashlib
import io
import multiprocessing
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

from calcohort import volume
from calcohort.outcomes import UserError, atomic_path, read_record, write_record
from calcohort.phantom.families import FAMILIES
from calcohort.phantom.reader import read_threshold, reader_volume_mm3
from calcohort.phantom.series import Acquisition, write_series
from calcohort.volume import Volume

FIRST_TRAINING_SEED = 100_000
VOLUME_DECIMALS = 3
TEMPLATE = "template"
NO_CONTRAST, TRUNCATED, NOT_CT = "no contrast", "one file truncated", "not CT"
SHEET_COLUMNS = (
    "scan_id",
    "family",
    "dicom",
    "reference_root_mask",
    "reference_calcium_mask",
    "reference_threshold_hu",
    "reference_volume_mm3",
    "physical_volume_mm3",
    "note",
)


@dataclass(frozen=True)
class Plan:
    """What a phantom will be.

    Attributes
    ----------
    scan_id : str
        Its name, which does not tell its defect.
    seed : int
        Seed of anatomy, noise, reader and identifiers.
    defect : str
        Empty for a measurable scan, else why it cannot be measured.
    family : str
        One of `families.FAMILIES`.
    """

    scan_id: str
    seed: int
    defect: str = ""
    family: str = TEMPLATE


def make_cohort(
    folder: Path,
    *,
    measurable: int,
    no_contrast: int = 0,
    truncated: int = 0,
    not_ct: int = 0,
    first_seed: int = 1,
    families: Sequence[str] = (TEMPLATE,),
    jobs: int = 1,
    report: Callable[[str], None] = print,
) -> Path:
    """Make phantoms with seeds from `first_seed` on, and their sheet.

    Parameters
    ----------
    folder : Path
        Gets ``dicom/{scan_id}/``, ``truth/`` and, last, ``scans.tsv`` with paths relative to it.
    measurable, no_contrast, truncated, not_ct : int
        How many scans of each kind, in this order. Scans with a defect have no reference values.
    first_seed : int
        Seed of the first; the seeds follow one another and stay below the training's 100000.
    families : sequence of str
        Each gets so many scans, with the same seeds. Scans without contrast are of the template's
        alone.
    jobs : int
        Processes, about 1 GB each; wide phantoms with many slices need several.
    report : callable
        Is given a line of progress per phantom.

    Returns
    -------
    Path
        The sheet.

    Raises
    ------
    UserError
        When a family is unknown, a count or seed is out of range, or a process was ended for want
        of memory.
    """
    folder = Path(folder)
    kinds = {"": measurable, NO_CONTRAST: no_contrast, TRUNCATED: truncated, NOT_CT: not_ct}
    plans = [plan for family in families for plan in _plan(kinds, first_seed, family)]
    if jobs < 1:
        raise UserError(f"--jobs is {jobs}: give at least 1")
    open_plans = [plan for plan in plans if not _is_finished(folder, plan)]
    if len(open_plans) < len(plans):
        report(f"{len(plans) - len(open_plans)} of {len(plans)} phantoms are already made")
    start = time.monotonic()
    made = _make_all(partial(make_phantom, folder), open_plans, jobs)
    for done, (plan, seconds) in enumerate(made, start=1):
        left_s = (time.monotonic() - start) / done * (len(open_plans) - done)
        position = len(plans) - len(open_plans) + done
        line = f"phantom {position} of {len(plans)} ({plan.scan_id}), {duration(seconds)}"
        report(f"{line}, about {duration(left_s)} left" if done < len(open_plans) else line)
    return _write_sheet(folder, plans)


def make_phantom(folder: Path, plan: Plan) -> float:
    """Make one phantom's series, masks and record; return the seconds it took.

    The series is built beside its place and moved there whole; the record comes last.
    """
    start = time.monotonic()
    _record_path(folder, plan).unlink(missing_ok=True)
    family = FAMILIES[plan.family]
    without = {"contrast": False} if plan.defect == NO_CONTRAST else {}
    patient = family.draw(plan.seed, **without)
    grid = family.scan_grid(patient)
    phantom = family.render(patient, grid)
    _write_dicom(folder, plan, Volume(phantom.hu, grid.affine))
    row = dict.fromkeys(SHEET_COLUMNS, "")
    row |= {"scan_id": plan.scan_id, "family": plan.family, "note": plan.defect}
    row["dicom"] = f"dicom/{plan.scan_id}"
    if not plan.defect:
        threshold_hu = read_threshold(phantom.hu, phantom.root, phantom.calcium, plan.seed)
        volume_mm3 = reader_volume_mm3(
            phantom.hu, phantom.root, threshold_hu, grid.voxel_volume_mm3
        )
        row |= {
            "reference_threshold_hu": threshold_hu,
            "reference_volume_mm3": round(volume_mm3, VOLUME_DECIMALS),
            "physical_volume_mm3": round(family.physical_calcium_mm3(patient), VOLUME_DECIMALS),
        }
        for name, mask in (("root", phantom.root), ("calcium", phantom.calcium)):
            path = f"truth/{plan.scan_id}_{name}.nii.gz"
            volume.write(folder / path, Volume(mask, grid.affine))
            row[f"reference_{name}_mask"] = path
    write_record(_record_path(folder, plan), _made_by(plan) | {"row": row})
    return time.monotonic() - start


def duration(seconds: float) -> str:
    """Tell a duration: ``14 s``, ``1 min 40 s``."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _plan(kinds: dict[str, int], first_seed: int, family: str) -> list[Plan]:
    if family not in FAMILIES:
        raise UserError(f"--families: {family!r} is unknown; choose {', '.join(FAMILIES)}")
    if family != TEMPLATE and kinds[NO_CONTRAST]:
        raise UserError(f"--no-contrast is not known to the family {family}: give 0")
    if min(kinds.values()) < 0 or sum(kinds.values()) == 0:
        raise UserError("the numbers of phantoms are negative or all 0: ask for at least one")
    defects = [defect for defect, count in kinds.items() for _ in range(count)]
    if first_seed < 0 or first_seed + len(defects) > FIRST_TRAINING_SEED:
        raise UserError(
            f"seeds {first_seed} to {first_seed + len(defects) - 1} are not all in "
            f"0 to {FIRST_TRAINING_SEED - 1}: higher ones are the training's"
        )
    name = "phantom" if family == TEMPLATE else family
    return [
        Plan(f"{name}-{position + 1:04d}", first_seed + position, defect, family)
        for position, defect in enumerate(defects)
    ]


def _record_path(folder: Path, plan: Plan) -> Path:
    return folder / "truth" / f"{plan.scan_id}.json"


def _is_finished(folder: Path, plan: Plan) -> bool:
    path = _record_path(folder, plan)
    if not (path.is_file() and (folder / "dicom" / plan.scan_id).is_dir()):
        return False
    record = read_record(path)
    return all(record.get(key) == value for key, value in _made_by(plan).items())


def _made_by(plan: Plan) -> dict:
    return {"plan": asdict(plan), "code_sha256": _code_sha256()}


@cache
def _code_sha256() -> str:
    """Hash of the phantoms' code: phantoms of other code are made again."""
    sources = sorted(Path(__file__).parent.glob("*.py"))
    return hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()


def _write_dicom(folder: Path, plan: Plan, scan: Volume) -> None:
    target, building = (folder / "dicom" / f"{dot}{plan.scan_id}" for dot in ("", "."))
    for leftover in (target, building):
        if leftover.exists():
            shutil.rmtree(leftover)
    files = write_series(
        building,
        scan,
        patient_id=plan.scan_id.upper(),
        seed=plan.seed,
        acquisition=Acquisition(
            modality="MR" if plan.defect == NOT_CT else "CT",
            contrast_agent="" if plan.defect == NO_CONTRAST else "OMNIPAQUE 350",
        ),
    )
    if plan.defect == TRUNCATED:
        broken = files[len(files) // 2]
        os.truncate(broken, broken.stat().st_size - scan.array[0].nbytes // 2)
    os.replace(building, target)


def _make_all(
    make: Callable[[Plan], float], plans: list[Plan], jobs: int
) -> Iterator[tuple[Plan, float]]:
    """Yield each plan and its seconds when it is made, in `jobs` processes."""
    if jobs == 1 or len(plans) < 2:
        for plan in plans:
            yield plan, make(plan)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, _begin_worker) as pool:
        futures = {pool.submit(make, plan): plan for plan in plans}
        try:
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a process that makes phantoms was ended, most likely for want of memory: "
                "run the same command with fewer --jobs; what is finished is kept"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin_worker() -> None:
    """Let this process end when its parent is killed, so that no two write the same phantom."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)

    def wait() -> None:
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def _write_sheet(folder: Path, plans: list[Plan]) -> Path:
    text = io.StringIO()
    writer = csv.DictWriter(text, SHEET_COLUMNS, delimiter="\t", lineterminator="\n")
    writer.writeheader()
    writer.writerows(read_record(_record_path(folder, plan))["row"] for plan in plans)
    sheet = folder / "scans.tsv"
    with atomic_path(sheet) as temporary:
        temporary.write_text(text.getvalue(), encoding="utf-8")
    return sheet
