"""Hand back a cohort, and write a table of what became of each scan."""

import csv
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from calcohort.handback.scan import HandedBack, hand_back_scan
from calcohort.outcomes import atomic_path

COLUMNS = ("scan_id", "outcome", "detail")


def hand_back_cohort(
    sheet: Mapping[str, Mapping[str, Any]],
    results: Path,
    folder: Path,
    *,
    key: bytes,
    max_archive_bytes: float,
    jobs: int,
    report: Callable[[str], None],
) -> list[HandedBack]:
    """Write the objects of every measured scan below `folder`, and `handback.tsv`.

    Parameters
    ----------
    sheet : mapping
        scan_id to its row.
    results : Path
        The study's results.
    folder : Path
        Where each scan's objects go, in a folder of its scan_id.
    key, max_archive_bytes
        See `hand_back_scan`.
    jobs : int
        Processes; each needs about 1 GB.
    report : callable
        Takes a line for each scan.
    """
    work = partial(
        _hand_back, results=results, folder=folder, key=key, max_archive_bytes=max_archive_bytes
    )
    sources = [Path(row["dicom"]) for row in sheet.values()]
    done = []
    with ProcessPoolExecutor(jobs) as pool:
        for number, result in enumerate(pool.map(work, sheet, sources), start=1):
            done.append(result)
            text = f"{result.scan_id}: {result.outcome} {result.detail}".strip()
            report(f"{number} of {len(sheet)}, {text}")
    with atomic_path(folder / "handback.tsv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as out:
            writer = csv.writer(out, delimiter="\t", lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows([r.scan_id, r.outcome, r.detail] for r in done)
    return done


def _hand_back(scan_id: str, source: Path, *, results: Path, folder: Path, **more) -> HandedBack:
    """Hand back one scan; an unforeseen error is its own, and may name the patient."""
    try:
        return hand_back_scan(
            scan_id, results / "scans" / scan_id, source, folder / scan_id, **more
        )
    except Exception:
        place = folder / scan_id / "error.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(traceback.format_exc(), encoding="utf-8")
        return HandedBack(scan_id, "failed", f"an unforeseen error, told in {place}")


def counts(done: Iterable[HandedBack]) -> str:
    """Count the outcomes, in words."""
    return ", ".join(f"{name} {n}" for name, n in Counter(r.outcome for r in done).items())
