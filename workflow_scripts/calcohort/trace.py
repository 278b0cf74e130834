"""The workers' trace: which scan was on which device when. Times, so never part of a record."""

import csv
import itertools
import os
import socket
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from calcohort.outcomes import UserError

START_UP = ""


@dataclass(frozen=True)
class Span:
    """One thing that a worker did.

    Attributes
    ----------
    stage, host, device, worker : str
        The stage; the machine; the device on it, such as ``gpu0``; the worker's process.
    scan_id : str
        The scan, or `START_UP`: all that a worker does before its first scan.
    begun_s, ended_s : float
        Seconds since 1970, UTC.
    """

    stage: str
    host: str
    device: str
    worker: str
    scan_id: str
    begun_s: float
    ended_s: float

    @property
    def seconds(self) -> float:
        """How long it took."""
        return self.ended_s - self.begun_s

    @property
    def place(self) -> tuple[str, str]:
        """Host and device."""
        return self.host, self.device


COLUMNS = [field.name for field in fields(Span)]


class Trace:
    """Write a worker's spans as they end, one line each, so that a killed worker leaves its own.

    Parameters
    ----------
    path : Path
        Tab-separated table; lines are appended, so that a second try keeps the first's. A last
        line that a crash cut off is removed.
    stage : str
        The stage's name.
    device : str
        "cpu" or "gpu", as in the config.
    """

    def __init__(self, path: Path, stage: str, device: str) -> None:
        self.path = Path(path)
        job = os.environ.get("SLURM_JOB_ID")
        worker = f"slurm-{job}" if job else f"pid-{os.getpid()}"
        host = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
        self.who = (stage, host, device_name(device), worker)
        self.last_s = time.time() - _process_age_s()
        if self.path.is_file():
            os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)

    def ready(self) -> None:
        """Note that the start-up is over."""
        self._write(START_UP, self.last_s)

    def done(self, scan_id: str) -> None:
        """Note that a scan is over; it began when the one before it ended."""
        self._write(scan_id, self.last_s)

    def _write(self, scan_id: str, begun_s: float) -> None:
        self.last_s = time.time()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream, delimiter="\t", lineterminator="\n")
            if not stream.tell():
                writer.writerow(COLUMNS)
            writer.writerow([*self.who, scan_id, f"{begun_s:.3f}", f"{self.last_s:.3f}"])


def device_name(device: str) -> str:
    """Name the device that SLURM gave this process, by its number on the host.

    SLURM_STEP_GPUS counts a host's GPUs. CUDA_VISIBLE_DEVICES counts from 0 in every job where
    SLURM hides the others' GPUs, so it is only asked where there is no SLURM.
    """
    names = ("SLURM_STEP_GPUS", "SLURM_JOB_GPUS", "CUDA_VISIBLE_DEVICES")
    number = next((os.environ[name] for name in names if os.environ.get(name)), "")
    return f"gpu{number}" if number else device


def _process_age_s() -> float:
    """Seconds since this process began; field 22 of /proc/PID/stat, see proc(5)."""
    begun_ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - begun_ticks / os.sysconf("SC_CLK_TCK")


def read_traces(folder: Path) -> list[Span]:
    """Read all traces of a study, sorted by time; a line that a crash cut off is left out."""
    spans = []
    for path in sorted(Path(folder).glob("*.tsv")):
        whole_lines = path.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()
        for row in csv.DictReader(whole_lines, delimiter="\t"):
            times = {name: float(row[name]) for name in ("begun_s", "ended_s")}
            spans.append(Span(**row | times))
    return sorted(spans, key=lambda span: (span.begun_s, astuple(span)))


def by_place(spans: Iterable[Span]) -> dict[tuple[str, str], list[Span]]:
    """Sort spans by host and device."""
    places = defaultdict(list)
    for span in spans:
        places[span.place].append(span)
    return dict(sorted(places.items()))


def overlaps(spans: Iterable[Span], tolerance_s: float = 0.05) -> list[tuple[Span, Span]]:
    """Pairs of scans that shared a device at one time: there must be none."""
    found = []
    for at_place in by_place(span for span in spans if span.scan_id != START_UP).values():
        for before, after in itertools.pairwise(at_place):
            if after.begun_s < before.ended_s - tolerance_s:
                found.append((before, after))
    return found


def summarise(spans: list[Span]) -> dict[str, float]:
    """Tell how the devices' time was spent.

    Parameters
    ----------
    spans : list of Span
        Of at least one worker.

    Returns
    -------
    dict
        `devices`, `workers`, `scans`, `hours` from the first begin to the last end;
        `idle_share`: of the devices' time in those hours, what no worker held;
        `start_up_share`: of the workers' time, what went before their first scans.

    Raises
    ------
    UserError
        Without spans: there is nothing to tell.
    """
    if not spans:
        raise UserError("There is no trace: no scan has been through a network yet.")
    first, last = min(s.begun_s for s in spans), max(s.ended_s for s in spans)
    devices = len(by_place(spans))
    held_s = sum(span.seconds for span in spans)
    start_up_s = sum(span.seconds for span in spans if span.scan_id == START_UP)
    return {
        "devices": devices,
        "workers": len({(span.host, span.worker, span.stage) for span in spans}),
        "scans": len({span.scan_id for span in spans} - {START_UP}),
        "hours": (last - first) / 3600,
        "idle_share": 1 - held_s / (devices * (last - first)),
        "start_up_share": start_up_s / held_s,
    }
