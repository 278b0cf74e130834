"""One process of a training: ``horovodrun -np 2 python -m calcohort.networks.worker job.json``."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcohort.logs import job_log
from calcohort.networks.plan import Plan
from calcohort.networks.train import train
from calcohort.networks.workers import start_workers
from calcohort.outcomes import read_record


def run(job: Mapping[str, Any]) -> None:
    """Run this process's part of a job (`training.job.run_job`).

    Raises
    ------
    UserError
        See `train` and `start_workers`.
    """
    workers = start_workers(job["device"])
    train(
        Plan.from_plain(job["plan"]),
        Path(job["store"]),
        job["training_names"],
        job["validation_names"],
        Path(job["folder"]),
        Path(job["weights"]),
        job["start_from"],
        workers,
    )


if __name__ == "__main__":
    with job_log(os.devnull):
        run(read_record(Path(sys.argv[1])))
