"""Find the largest field of view that a training fits into, by taking steps of it.

    find_field_of_view.py --full 112x128x128 --filters 8 --depth 4 --memory-gib 4

Prints each field of view that was tried; the last is the one for `stages` in the section
`training` of the config.
"""

import argparse
import sys

from calcohort.networks.field_of_view import try_fields_of_view
from calcohort.networks.options import FILTERS_FORM, filters_option
from calcohort.networks.plan import PRECISIONS, Plan
from calcohort.outcomes import UserError


def _shape(text: str) -> tuple[int, ...]:
    return tuple(int(side) for side in text.split("x"))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--full", type=_shape, required=True, metavar="KxJxI",
        help="field of view of the inference, in the network's voxels or blocks",
    )  # fmt: skip
    parser.add_argument("--filters", type=filters_option, default=8, metavar=FILTERS_FORM)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--memory-gib", type=float, required=True, help="of the process")
    parser.add_argument("--precision", choices=PRECISIONS, default="float32")
    parser.add_argument("--xla", action="store_true")
    parser.add_argument("--recompute", action="store_true")
    parser.add_argument("--device", choices=("cpu", "gpu"), default="cpu")
    options = parser.parse_args()
    plan = Plan(
        "unet2", (), options.filters, options.depth,
        precision=options.precision, xla=options.xla, recompute=options.recompute,
    )  # fmt: skip
    print("field of view\tfits\tmemory (GiB)\tstep (s)")
    for trial in try_fields_of_view(plan, options.full, options.memory_gib, options.device):
        shape = "x".join(map(str, trial.shape_kji))
        fits = "yes" if trial.fits else "no"
        print(shape, fits, trial.memory_gib, trial.step_s or "", sep="\t", flush=True)


if __name__ == "__main__":
    try:
        main()
    except UserError as problem:
        sys.exit(f"find_field_of_view: {problem}")
