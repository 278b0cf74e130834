r"""Make the weights of a network those of a wider one that finds the same, to train it on.

    widen_weights.py wide.weights.h5 models/unet2.weights.h5 \
        --depth 4 --from-filters 8 --filters 8,16,64,128,160

Training then starts where the narrow network stood (`train_network.py --start-from`).
"""

import argparse
import hashlib
import sys
from pathlib import Path

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
from calcohort.networks.options import FILTERS_FORM, filters_option, weights_option
from calcohort.networks.widen import widen_weights
from calcohort.outcomes import UserError


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=weights_option, help="file to write")
    parser.add_argument("weights", type=Path, help="file to widen")
    for name, of in (("--from-filters", "the file's"), ("--filters", "the new ones")):
        parser.add_argument(
            name, type=filters_option, required=True, metavar=FILTERS_FORM,
            help=f"{of}: of the first level, doubled at each step, or of every level",
        )  # fmt: skip
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0, help="of how copies share weights")
    given = parser.parse_args()
    widen_weights(
        given.weights, given.from_filters, given.filters, given.depth, given.out, given.seed
    )
    print(f"{hashlib.sha256(given.out.read_bytes()).hexdigest()}  {given.out}")


if __name__ == "__main__":
    try:
        main()
    except (UserError, OSError) as problem:
        sys.exit(f"widen_weights: {problem}")
