"""Fill a training store with phantoms as a network sees them, rendered on its own grid.

    make_samples.py unet2 --family wide=800 --family template=200 --store results/training/wide

Stopped at any moment and started again, it goes on. It runs at the lowest priority.
"""

import argparse
import os
import sys
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")

from calcohort.networks.data import add_store_options, draw_cases, make_store
from calcohort.outcomes import UserError
from calcohort.phantom.cohort import duration

NICENESS = 19
TOLD_EVERY = 10


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("unet1", "unet2"))
    add_store_options(parser)
    return parser.parse_args(arguments)


def main() -> None:
    """Run the command."""
    given = parse()
    os.nice(NICENESS)
    cases = draw_cases(given.family, given.first_seed)
    spacing = tuple(given.spacing_mm) if given.spacing_mm else None
    made = make_store(given.store, given.network, tuple(given.block), cases, given.workers, spacing)
    start = time.monotonic()
    for done, name in enumerate(made, start=1):
        if done % TOLD_EVERY == 0 or done == len(cases):
            left_s = (time.monotonic() - start) / done * (len(cases) - done)
            print(f"{done} of {len(cases)} ({name}), about {duration(left_s)} left", flush=True)


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as problem:
        sys.exit(f"make_samples: {problem}")
    except KeyboardInterrupt:
        sys.exit("make_samples: stopped; run the same command again to go on")
