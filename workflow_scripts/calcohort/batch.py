"""A batch: scans that share one start of a network, taken one at a time."""

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from calcohort import volume
from calcohort.networks.predict import read_ahead
from calcohort.outcomes import OK, read_record, run_stage
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
    trace : Trace
        Where the time of each scan is noted; its start-up ends here.
    suffix : str
        Ending of the image that `work` writes, none when it writes none.

    Notes
    -----
    A scan that fails has its own record and leaves its neighbours alone (`run_stage`).
    """
    folder.mkdir(parents=True, exist_ok=True)
    records = [read_record(path) for path in upstream]
    if [record["scan_id"] for record in records] != list(scan_ids):
        raise ValueError("the records are not those of the batch's scans")
    readable = [ct if r["status"] == OK else None for ct, r in zip(cts, records, strict=True)]
    reads = read_ahead(readable, lambda path: path and volume.read(path))
    trace.ready()
    started = time.monotonic()
    scans = zip(reads, records, upstream, strict=True)
    for number, ((_, read), record, source) in enumerate(scans, start=1):
        scan_id = record["scan_id"]
        image = folder / f"{scan_id}{suffix}"
        run_stage(
            stage,
            scan_id,
            lambda read=read, record=record, image=image: work(read.result(), record, image),
            record=folder / f"{scan_id}.json",
            upstream=[Path(source)],
            images=[image] if suffix else [],
        )
        trace.done(scan_id)
        spent = time.monotonic() - started
        left = spent / number * (len(scan_ids) - number)
        log.info("%s %s: %d of %d, about %.0f s left", stage, scan_id, number, len(scan_ids), left)
