"""A batch: scans that share one start of a network, taken one at a time."""

import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from calcohort import volume
from calcohort.at_work import MOST_DEATHS, AtWork
from calcohort.networks.predict import read_ahead
from calcohort.outcomes import OK, read_record, run_lost, run_stage
from calcohort.trace import Trace

log = logging.getLogger(__name__)


def run_batch(
    stage: str,
    scan_ids: Sequence[str],
    work: Callable[[volume.Volume, dict, Path], dict],
    *,
    cts: Sequence[str],
    upstream: Sequence[str],
    folder: Path,
    marks: AtWork,
    trace: Trace,
    suffix: str = "",
) -> None:
    """Run `work` for each scan of a batch, the next one read while this one computes.

    Parameters
    ----------
    stage : str
        The stage's name.
    scan_ids : sequence of str
        The batch's scans.
    work : callable
        Takes a scan's image, its upstream record and the path of its own image; returns findings.
    cts, upstream : sequence of str
        Image and record of each scan; the record names the scan it is of.
    folder : Path
        Where each scan's record (`{scan_id}.json`) and image (`{scan_id}{suffix}`) go.
    marks : AtWork
        The stage's marks: scans at whose work the job was killed come last, or are given up.
    trace : Trace
        Where the time of each scan is noted; its start-up ends here.
    suffix : str
        Ending of the image that `work` writes, none when it writes none.

    Notes
    -----
    A scan that fails has its own record and leaves its neighbours alone (`run_stage`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = {record["scan_id"]: record for record in map(read_record, upstream)}
    if list(records) != list(scan_ids):
        raise ValueError("the records are not those of the batch's scans")
    ct_of = dict(zip(scan_ids, cts, strict=True))
    source_of = dict(zip(scan_ids, upstream, strict=True))
    lost = {scan_id for scan_id in scan_ids if marks.deaths(scan_id) >= MOST_DEATHS}
    readable = {s for s in scan_ids if records[s]["status"] == OK} - lost
    trace.ready()
    started = time.monotonic()
    reads = read_ahead(
        sorted(scan_ids, key=marks.deaths),
        lambda s: volume.read(ct_of[s]) if s in readable else None,
    )
    for number, (scan_id, read) in enumerate(reads, start=1):
        image = folder / f"{scan_id}{suffix}"

        def compute(scan_id=scan_id, read=read, image=image):
            return work(read.result(), records[scan_id], image)

        with contextlib.nullcontext() if scan_id in lost else marks.at_work(scan_id):
            (run_lost if scan_id in lost else run_stage)(
                stage,
                scan_id,
                compute,
                record=folder / f"{scan_id}.json",
                upstream=[Path(source_of[scan_id])],
                images=[image] if suffix else [],
            )
        trace.done(scan_id)
        spent = time.monotonic() - started
        left = spent / number * (len(scan_ids) - number)
        log.info("%s %s: %d of %d, about %.0f s left", stage, scan_id, number, len(scan_ids), left)
