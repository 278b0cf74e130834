"""Make a cohort of phantoms with known truth: DICOM series, masks, and the sheet scans.tsv.

Run again after an interruption, it goes on where it stopped.
"""

import argparse
import os
import sys
from functools import partial
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

from calcohort.outcomes import UserError
from calcohort.phantom.cohort import make_cohort

MOST_DEFAULT_JOBS = 8


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="where the cohort goes; the sheet is scans.tsv")
    parser.add_argument("--measurable", type=int, default=8, help="scans with all that is needed")
    parser.add_argument("--no-contrast", type=int, default=0, help="scans without contrast agent")
    parser.add_argument("--truncated", type=int, default=0, help="scans with a file cut short")
    parser.add_argument("--not-ct", type=int, default=0, help="scans that are MR")
    parser.add_argument("--first-seed", type=int, default=1, help="seed of the first phantom")
    parser.add_argument(
        "--families",
        nargs="+",
        default=["template"],
        metavar="NAME",
        help="template, wide, second: so many scans of each (default: template)",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(os.cpu_count() or 1, MOST_DEFAULT_JOBS),
        help="processes, about 1 GB each (default %(default)s: the cores, at most 8)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    try:
        sheet = make_cohort(**vars(parse()), report=partial(print, flush=True))
    except (UserError, OSError) as problem:
        sys.exit(f"make_phantoms: {problem}")
    except KeyboardInterrupt:
        sys.exit("make_phantoms: stopped; run the same command again to go on")
    print(f"sheet: {sheet}")
