"""Average the weights of rounds of one training, each started from the one before.

    average_weights.py unet2.weights.h5 round_8.weights.h5 round_9.weights.h5

The mean of the weights (Izmailov et al. 2018, arXiv:1803.05407) costs nothing at inference. It is
for rounds of one training alone: weights that began apart have no useful mean.
"""

import argparse
import hashlib
import sys
from pathlib import Path

from calcohort.networks.average import average_weights
from calcohort.outcomes import UserError


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="file to write")
    parser.add_argument("weights", type=Path, nargs="+", help="files to average")
    given = parser.parse_args()
    average_weights(given.weights, given.out)
    print(f"{hashlib.sha256(given.out.read_bytes()).hexdigest()}  {given.out}")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as problem:
        sys.exit(f"average_weights: {problem}")
