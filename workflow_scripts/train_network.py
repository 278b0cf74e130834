"""Train U-Net1 or U-Net2 on phantoms: makes the training store, trains, writes the weights.

    train_network.py unet2 --family wide=400 --stage 64x64x64:500 --stage 112x128x128:2000

Stopped at any moment and started again, it goes on.
"""

import argparse
import hashlib
import logging
import sys
from pathlib import Path

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
from calcohort.networks.augment import EXTRA
from calcohort.networks.data import VALIDATION_SEED, add_store_options, draw_cases, make_store
from calcohort.networks.options import FILTERS_FORM, filters_option, weights_option
from calcohort.networks.plan import PRECISIONS, Plan
from calcohort.outcomes import UserError


def _stage(text: str) -> tuple[tuple[int, ...], int]:
    shape, steps = text.split(":")
    return tuple(int(side) for side in shape.split("x")), int(steps)


def _amount(text: str) -> tuple[str, float]:
    name, amount = text.split("=")
    if name not in EXTRA:
        raise ValueError(name)
    return name, float(amount)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", choices=("unet1", "unet2"))
    parser.add_argument(
        "--stage", type=_stage, action="append", required=True, metavar="KxJxI:STEPS",
        help="field of view and steps; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--filters", type=filters_option, default=8, metavar=FILTERS_FORM,
        help="of the first level, doubled at each step, or of every level",
    )  # fmt: skip
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--mirror", action="store_true", help="the paper's horizontal flip")
    parser.add_argument(
        "--augmentation", type=_amount, action="append", default=[], metavar="NAME=AMOUNT",
        help=f"beyond the paper's: {', '.join(EXTRA)}; may be repeated",
    )  # fmt: skip
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--validation-phantoms", type=int, default=6, help="of each family that is trained on"
    )
    add_store_options(parser)
    parser.add_argument("--folder", type=Path, help="results/training/NETWORK")
    parser.add_argument("--start-from", type=Path, help="weights to begin with")
    parser.add_argument("--weights", type=weights_option, help="models/NETWORK.weights.h5")
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    options = _arguments()
    training = draw_cases(options.family, options.first_seed)
    judged = [(family, options.validation_phantoms) for family, _ in options.family]
    validation = draw_cases(judged, VALIDATION_SEED)
    cases = training + validation
    spacing = tuple(options.spacing_mm) if options.spacing_mm else None
    store = make_store(
        options.store, options.network, tuple(options.block), cases, options.workers, spacing
    )
    for number, name in enumerate(store, 1):
        logging.info("training store: %s, %d of %d", name, number, len(cases))

    from calcohort.networks.train import train  # after the store: no TensorFlow in its forks

    plan = Plan(
        options.network, tuple(options.stage), options.filters, options.depth,
        options.learning_rate, options.mirror, options.seed, precision=options.precision,
        augmentation=dict(options.augmentation),
    )  # fmt: skip
    weights = options.weights or Path("models") / f"{options.network}.weights.h5"
    folder = options.folder or Path("results/training") / options.network
    names = [[case.name for case in part] for part in (training, validation)]
    train(plan, options.store, *names, folder, weights, options.start_from)
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    logging.info("sha256 %s  %s", digest, weights)


if __name__ == "__main__":
    try:
        main()
    except UserError as problem:
        sys.exit(f"train_network: {problem}")
