"""How far a study is, and when it will be finished, from its own records and traces."""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calcohort.outcomes import EXCLUDED, FAILED, OK
from calcohort.trace import Span

FEWEST_SCANS = 5
PAUSE_S = 3600.0
STATUS = {OK: "measured", EXCLUDED: "excluded", FAILED: "failed"}


@dataclass(frozen=True)
class Progress:
    """Where the scans of a sheet are.

    Attributes
    ----------
    counts : dict
        Scans that are `measured`, `excluded`, `failed`, `begun` (some of their files are there)
        and `waiting` (none is); they add up to the sheet's.
    ended_s : list of float
        When each finished scan was finished, seconds since 1970, sorted.
    failed : list of (str, str)
        Scan and reason of those that failed.
    """

    counts: dict[str, int]
    ended_s: list[float]
    failed: list[tuple[str, str]]

    @property
    def total(self) -> int:
        """Scans of the sheet."""
        return sum(self.counts.values())

    @property
    def left(self) -> int:
        """Scans that are not finished."""
        return self.counts["begun"] + self.counts["waiting"]


def read_progress(scan_ids: list[str], scans_folder: Path) -> Progress:
    """Look at each scan's folder.

    Parameters
    ----------
    scan_ids : list of str
        The sheet's scans.
    scans_folder : Path
        `results/scans`.
    """
    counts = Counter(dict.fromkeys((*STATUS.values(), "begun", "waiting"), 0))
    ended_s, failed = [], []
    begun = set(os.listdir(scans_folder)) if Path(scans_folder).is_dir() else set()
    for scan_id in scan_ids:
        record, written_s = _measured(f"{scans_folder}/{scan_id}/calcium.json", scan_id in begun)
        if record is None:
            counts["begun" if scan_id in begun else "waiting"] += 1
            continue
        counts[STATUS[record["status"]]] += 1
        ended_s.append(written_s)
        if record["status"] == FAILED:
            failed.append((scan_id, f"{record['stage']}: {record['detail']}"))
    return Progress(dict(counts), sorted(ended_s), failed)


def _measured(path: str, begun: bool) -> tuple[dict[str, Any] | None, float]:
    if begun:
        try:
            with open(path, encoding="utf-8") as stream:
                return json.load(stream), os.fstat(stream.fileno()).st_mtime
        except FileNotFoundError:
            pass
    return None, 0.0


def seconds_left(progress: Progress, now_s: float) -> tuple[float | None, str]:
    """Guess how long the scans that are left will take.

    The rate is that of the latest spell of work: finished scans with no pause of more than
    `PAUSE_S` between them, the last one no longer ago than that. The scans that are left are
    taken to be like those.

    Parameters
    ----------
    progress : Progress
        As read.
    now_s : float
        The present, seconds since 1970.

    Returns
    -------
    seconds : float or None
        None when it cannot be told.
    why : str
        What the guess stands on, or why there is none.
    """
    if not progress.left:
        return 0.0, "all scans are finished"
    ended_s = progress.ended_s
    if not ended_s or now_s - ended_s[-1] > PAUSE_S:
        return None, f"unknown: no scan was finished within the last {PAUSE_S / 60:.0f} minutes"
    first = len(ended_s) - 1
    while first > 0 and ended_s[first] - ended_s[first - 1] <= PAUSE_S:
        first -= 1
    spell = len(ended_s) - first
    if spell <= FEWEST_SCANS:
        return None, f"unknown: only {spell} scans are finished since the work began"
    rate = (spell - 1) / max(now_s - ended_s[first], 1.0)
    return progress.left / rate, f"as fast as the last {spell} scans, {rate * 3600:.0f} per hour"


def gpu_hours(spans: list[Span], left: int) -> Mapping[str, float] | None:
    """GPU hours until now and for the scans that are left, None where no GPU has worked.

    Start-ups count, and so do tries that came to nothing: each is paid. A scan that is left costs
    what a scan that went through cost on average, stage by stage.
    """
    on_gpu = [span for span in spans if span.device.startswith("gpu")]
    if not on_gpu:
        return None
    spent_s = sum(span.seconds for span in on_gpu)
    to_come_s = 0.0
    for stage in {span.stage for span in on_gpu}:
        here = [span for span in on_gpu if span.stage == stage]
        through = len({span.scan_id for span in here if span.scan_id})
        if not through:
            return None
        to_come_s += left * sum(span.seconds for span in here) / through
    return {"spent": spent_s / 3600, "to_come": to_come_s / 3600}
