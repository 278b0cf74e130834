"""The scans of a batch through a stage without a network, several at a time.

Each scan has a process of its own, so that a crash in a decoder or the kernel's out-of-memory
killer ends that scan's work and no other's. A scan whose process was killed is tried once more,
alone; one that is killed again is `failed`.
"""

import ctypes
import logging
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence
from multiprocessing import connection
from pathlib import Path
from typing import Any

from calcohort.at_work import MOST_DEATHS, AtWork
from calcohort.outcomes import UserError, run_lost, run_stage
from calcohort.seal import entry

log = logging.getLogger(__name__)

LONGEST_S = 1800.0
FORK = multiprocessing.get_context("fork")
PR_SET_PDEATHSIG = 1

Run = Callable[..., dict[str, Any]]
Stage = Callable[[str, Run], dict[str, Any]]


class Died(Exception):
    """A scan's process was killed, or had to be."""


def run_scans(
    scan_ids: Sequence[str], stage: Stage, *, marks: AtWork, workers: int
) -> dict[str, dict[str, Any]]:
    """Run one stage for the scans of a batch.

    Parameters
    ----------
    scan_ids : sequence of str
        The scans.
    stage : callable
        Takes a scan and a function like `outcomes.run_stage`, calls that, and returns its result.
    marks : AtWork
        The stage's marks, where deaths in an earlier try of the job are told.
    workers : int
        Scans at a time.

    Returns
    -------
    dict
        `scan_id` to what its seal holds.

    Raises
    ------
    UserError, OSError
        Trouble of the set-up or the machine: no further scan is begun. On SLURM also when a scan
        died for the first time: the job's next try has more memory and time.
    """
    done: dict[str, dict[str, Any]] = {}
    suspects = [scan_id for scan_id in scan_ids if marks.deaths(scan_id)]
    others = [scan_id for scan_id in scan_ids if scan_id not in suspects]
    died = _side_by_side(others, stage, marks, workers, done)
    try_here = [] if "SLURM_JOB_ID" in os.environ else died
    for scan_id in suspects + try_here:
        if marks.deaths(scan_id) < MOST_DEATHS:
            _side_by_side([scan_id], stage, marks, 1, done)
        if scan_id not in done:
            done[scan_id] = stage(scan_id, _sealed(run_lost))
    if len(done) < len(scan_ids):
        raise UserError(f"the work on {', '.join(died)} was killed; the next try gets more memory")
    return done


def _side_by_side(
    scan_ids: Iterable[str],
    stage: Stage,
    marks: AtWork,
    workers: int,
    done: dict[str, dict[str, Any]],
) -> list[str]:
    """Run the stage for scans, `workers` at a time; fill `done`, return those that died."""
    waiting = list(scan_ids)[::-1]
    total, ended = len(waiting), 0
    died: list[str] = []
    at_work: dict[Any, _Process] = {}
    try:
        while waiting or at_work:
            while waiting and len(at_work) < workers:
                process = _Process(waiting.pop(), stage, marks)
                at_work[process.answer] = process
                process.start()
            ready = connection.wait(list(at_work), timeout=1)
            for process in [p for p in at_work.values() if p.answer in ready or p.overdue()]:
                del at_work[process.answer]
                ended += 1
                try:
                    done[process.scan_id] = process.result()
                    log.info("%s: %d of %d", process.scan_id, ended, total)
                except Died as reason:
                    log.error("%s: %s", process.scan_id, reason)
                    died.append(process.scan_id)
    finally:
        for process in at_work.values():
            process.stop()
    return died


class _Process:
    """The process of one scan; it ends with its parent."""

    def __init__(self, scan_id: str, stage: Stage, marks: AtWork) -> None:
        self.scan_id, self.marks, self.begun_s = scan_id, marks, time.monotonic()
        self.answer, self.send = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=_work, args=(scan_id, stage, self.send))

    def start(self) -> None:
        """Begin the work."""
        self.marks.begin(self.scan_id)
        self.process.start()
        self.send.close()

    def overdue(self) -> bool:
        """Whether it has hung; it is then killed."""
        hung = time.monotonic() - self.begun_s > LONGEST_S
        if hung:
            self.process.kill()
        return hung

    def result(self) -> dict[str, Any]:
        """Return what the stage returned, raise what it raised, `Died` when it was killed."""
        try:
            answer = self.answer.recv()
        except EOFError:
            answer = None
        self.process.join()
        if isinstance(answer, MemoryError):
            raise Died("out of memory")
        if answer is None:
            number = -(self.process.exitcode or 0)
            if number in (signal.SIGTERM, signal.SIGINT):
                self.marks.stop(self.scan_id)
                raise KeyboardInterrupt
            raise Died(f"its process was killed by signal {number}")
        if isinstance(answer, Exception):
            self.marks.stop(self.scan_id)
            raise answer
        self.marks.finish(self.scan_id)
        return answer

    def stop(self) -> None:
        """Kill it; the scan is not to blame."""
        if self.process.pid:
            self.process.kill()
            self.process.join()
        self.marks.stop(self.scan_id)


def _work(scan_id: str, stage: Stage, send: connection.Connection) -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        send.send(stage(scan_id, _sealed(run_stage)))
    except (UserError, OSError, MemoryError) as trouble:
        send.send(trouble)
    except Exception as error:
        log.exception("%s: unforeseen error", scan_id)
        send.send(RuntimeError(f"{type(error).__name__} in the process of {scan_id}"))


def _sealed(run: Run) -> Run:
    """Have `run` return the scan's entry of the seal."""

    def sealed(*what: Any, images: Iterable[Path] = (), **where: Any) -> dict[str, Any]:
        images = list(images)
        return entry(run(*what, images=images, **where), images)

    return sealed
