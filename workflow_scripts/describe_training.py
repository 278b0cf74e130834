"""Write the ranges of the phantoms that weights were trained on, and print them as a table.

    describe_training.py models/ranges.yaml --family wide=800 --family template=200 \
        --card models/MODEL_CARD.md

Spacing and field of view are of all phantoms; contrast and noise of `--measured` of them, evenly
chosen, rendered around the root and measured as a cohort's scans are.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from calcohort.applicability import find_ranges, ranges_table, write_ranges
from calcohort.networks.data import add_case_options, draw_cases
from calcohort.outcomes import UserError, atomic_path
from calcohort.phantom.cohort import duration
from calcohort.phantom.description import describe_phantom
from calcohort.training.card import with_ranges

NICENESS = 19
TOLD_EVERY = 50


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ranges", type=Path, help="the file to write")
    parser.add_argument("--measured", type=int, default=150, help="phantoms that are rendered")
    parser.add_argument("--card", type=Path, help="model card to write the table into")
    add_case_options(parser)
    return parser.parse_args(arguments)


def main() -> None:
    """Run the command."""
    given = parse()
    os.nice(NICENESS)
    cases = draw_cases(given.family, given.first_seed)
    rendered = np.unique(np.linspace(0, len(cases) - 1, given.measured).round().astype(int))
    described, start = [], time.monotonic()
    for done, case in enumerate(cases, start=1):
        measured = done - 1 in rendered
        described.append(describe_phantom(case.family, case.seed, measured=measured))
        if done % TOLD_EVERY == 0:
            left_s = (time.monotonic() - start) / done * (len(cases) - done)
            print(f"{done} of {len(cases)}, about {duration(left_s)} left", file=sys.stderr)
    ranges = find_ranges(described)
    counts = " and ".join(f"{count} {family}" for family, count in given.family)
    scans = f"{counts} phantoms, seeds from {given.first_seed} on"
    if given.card:
        card = with_ranges(given.card.read_text(encoding="utf-8"), scans, ranges)
        with atomic_path(given.card) as temporary:
            temporary.write_text(card, encoding="utf-8")
    write_ranges(given.ranges, scans, ranges)
    print(ranges_table(ranges))


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as problem:
        sys.exit(f"describe_training: {problem}")
    except KeyboardInterrupt:
        sys.exit("describe_training: stopped; nothing was written")
