"""Tell how many scans of a study are finished, and when the others will be."""

import argparse
import sys
import time
from datetime import datetime
from pathlib import Path

from calcohort.forecast import gpu_hours, read_progress, seconds_left
from calcohort.outcomes import UserError
from calcohort.study import read_config, read_scan_ids, sheet_of
from calcohort.trace import read_traces

MOST_FAILED = 10


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    return parser.parse_args(arguments)


def tell(configfile: Path | None, now_s: float) -> list[str]:
    """Lines of the forecast.

    Raises
    ------
    UserError
        When the config or the sheet cannot be read.
    """
    config = read_config(configfile)
    results = Path(config["results"])
    progress = read_progress(read_scan_ids(sheet_of(config)), results / "scans")
    lines = [f"{name:10}{number:8}" for name, number in progress.counts.items()]
    lines.append(f"{'all':10}{progress.total:8}")
    left_s, why = seconds_left(progress, now_s)
    if left_s:
        why = f"{datetime.fromtimestamp(now_s + left_s).astimezone():%Y-%m-%d %H:%M %Z}, {why}"
    lines.append(f"finish    {why}")
    hours = gpu_hours(read_traces(results / "logs/trace"), progress.left)
    told = (
        "{spent:.2f} spent, about {to_come:.2f} to come" if hours else "unknown: no GPU has worked"
    )
    lines.append(f"GPU hours {told.format(**hours or {})}")
    lines += [f"failed    {scan_id}: {why}" for scan_id, why in progress.failed[:MOST_FAILED]]
    if (more := len(progress.failed) - MOST_FAILED) > 0:
        lines.append(f"failed    … and {more} more (scans.csv)")
    return lines


if __name__ == "__main__":
    try:
        print("\n".join(tell(parse().configfile, time.time())))
    except UserError as problem:
        sys.exit(f"forecast: {problem}")
