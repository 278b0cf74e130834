"""Find the series under `dicom_root`: writes series.csv and the sheet of the scans.

Run it before snakemake; run_cohort.py does. Exit codes: 0 done; 2 a mistake in the set-up.
"""

import argparse
import logging
import os
import sys
import time
from pathlib import Path

from calcohort.index.run import index_archive
from calcohort.keys import establish_key
from calcohort.lock import lock_results
from calcohort.outcomes import UserError
from calcohort.study import read_config, read_settings


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    parser.add_argument(
        "--processes", type=int, default=len(os.sched_getaffinity(0)), help="default: one a core"
    )
    return parser.parse_args(arguments)


def index(asked: argparse.Namespace) -> str:
    """Index, and tell in a line what was found.

    Raises
    ------
    UserError
        For a mistake in the set-up.
    """
    settings = read_settings(read_config(asked.configfile))
    if not settings.get("dicom_root"):
        raise UserError("config: there is no dicom_root; the scans are those of the sheet")
    lock_results(settings["results"])
    key = establish_key(settings)
    counts = index_archive(settings, key, asked.processes, time.time_ns())
    troubles = sum(counts["problems"].values())
    parts = [
        f"{counts['new_scans']} new scans of {counts['scans']}",
        f"{counts['series']} series, {counts['candidates']} of them candidates",
        f"{counts['images']} images, {counts['opened']} files or archives opened",
        f"{counts['waiting']} studies wait to settle" if counts["waiting"] else "",
        f"{troubles} problems ({settings['private']}/problems.tsv)" if troubles else "",
    ]
    return "; ".join(filter(None, parts))


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
    try:
        print(index(parse()))
    except UserError as problem:
        print(f"index_series: {problem}", file=sys.stderr)
        sys.exit(2)
