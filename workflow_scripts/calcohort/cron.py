"""One run of a study at a time, started by cron: lock, healing after a crash, log, status line."""

import contextlib
import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from calcohort.outcomes import UserError, atomic_path

DONE, STEPS_FAILED, MISTAKE, BUSY = 0, 1, 2, 75
CANCEL_WAIT_S = 120


class Busy(Exception):
    """Another run is at work in this folder."""


class Run:
    """A run of Snakemake in a working folder.

    The lock is a `flock` that Snakemake inherits, so it is held as long as this process *or* its
    Snakemake lives, and the kernel frees it when both are gone, however they went. A run leaves a
    marker that only its end removes: whoever gets the lock and finds a marker comes after a crash.

    Parameters
    ----------
    folder : Path
        Where Snakemake runs.
    logs : Path
        Folder of the dated logs.
    """

    def __init__(self, folder: Path, logs: Path) -> None:
        self.folder = Path(folder).resolve()
        self.logs = Path(logs)
        self.marker = self.folder / ".snakemake/cohort.running"
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()
        self.prefix = f"calcohort-{digest[:8]}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[int]:
        """Hold the lock, yield its file descriptor.

        Raises
        ------
        Busy
            When another run holds it.
        """
        self.marker.parent.mkdir(exist_ok=True)
        with (self.folder / ".snakemake/cohort.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Busy(f"another run is at work in {self.folder}") from None
            yield lock.fileno()

    def heal(self, snakemake: Sequence[str]) -> str:
        """Clear up after a run that crashed; call with the lock held.

        Its SLURM jobs would write beside the new run's: they are cancelled, and only then is
        Snakemake's own lock removed. Without a marker nothing is touched: a lock of Snakemake is
        then of somebody who runs it by hand.

        Parameters
        ----------
        snakemake : sequence of str
            The command of the run.

        Returns
        -------
        str
            What was done, "" when there was nothing to do.

        Raises
        ------
        UserError
            When the jobs cannot be listed or do not end, or the lock cannot be removed.
        """
        if not self.marker.exists():
            return ""
        cancelled = self._cancel_jobs() if shutil.which("squeue") else 0
        unlocked = subprocess.run(
            [*snakemake, "--unlock"], cwd=self.folder, capture_output=True, text=True
        )
        if unlocked.returncode:
            raise UserError(f"snakemake --unlock failed: {unlocked.stderr.strip()[-500:]}")
        self.marker.unlink()
        return f"a run had crashed: {cancelled} of its jobs cancelled, its lock removed"

    def _cancel_jobs(self) -> int:
        first = self._jobs()
        if first:
            subprocess.run(["scancel", *first], check=False)
        end = time.monotonic() + CANCEL_WAIT_S
        while self._jobs():
            if time.monotonic() > end:
                raise UserError(
                    f"Jobs {', '.join(self._jobs())} of a crashed run do not end; "
                    "wait for them or ask the cluster's staff, then run again."
                )
            time.sleep(1)
        return len(first)

    def _jobs(self) -> list[str]:
        """Ids of this folder's jobs that are in the queue or running."""
        states = "PENDING,CONFIGURING,RUNNING,COMPLETING,SUSPENDED"
        queue = ["squeue", "--me", "--noheader", "--states", states, "--format", "%i %j"]
        listed = subprocess.run(queue, capture_output=True, text=True)
        if listed.returncode:
            raise UserError(f"squeue failed: {listed.stderr.strip()}. Is SLURM's controller up?")
        jobs = (line.split(maxsplit=1) for line in listed.stdout.splitlines())
        return [number for number, name in jobs if name.startswith(self.prefix)]

    def snakemake(self, command: Sequence[str], lock: int) -> tuple[int, Path]:
        """Run Snakemake to its end with its output in a dated log.

        A SIGTERM to this process is handed on, and Snakemake then cancels its jobs.

        Returns
        -------
        code : int
            Snakemake's exit code.
        log : Path
            The log.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        now = datetime.now(UTC)
        log = self.logs / f"{now:%Y-%m-%dT%H-%M-%S}Z.log"
        self.marker.write_text(f"{now:%Y-%m-%dT%H:%M:%SZ} {log}\n")
        with log.open("a") as stream:
            process = subprocess.Popen(
                [*command], cwd=self.folder, stdout=stream, stderr=stream, pass_fds=[lock]
            )
            signal.signal(signal.SIGTERM, lambda number, _: process.send_signal(number))
            code = process.wait()
        if code >= 0:  # below 0 a signal ended it, and its jobs may go on
            self.marker.unlink()
        return code, log


def write_status(path: Path, text: str) -> str:
    """Write a dated line to `path`, whole or not at all, and return it."""
    line = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {' '.join(text.split())}"
    with atomic_path(path) as temporary:
        temporary.write_text(line + "\n", encoding="utf-8")
    return line
