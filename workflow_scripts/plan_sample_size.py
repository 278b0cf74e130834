"""Say how many scans a study needs for 95 % intervals of a wanted width.

limits: python workflow_scripts/plan_sample_size.py limits --width-sds 0.5
ICC:    python workflow_scripts/plan_sample_size.py icc --icc 0.9 --width 0.1
AUC:    python workflow_scripts/plan_sample_size.py auc --auc 0.8 --width 0.1 --share 0.3
"""

import argparse
import sys

from calcohort.association.planning import scans_for_auc, scans_for_icc, scans_for_limits
from calcohort.outcomes import UserError


def plan(arguments: list[str]) -> str:
    """Answer one question of the command line in a sentence."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    of = parser.add_subparsers(dest="of", required=True)
    limits = of.add_parser("limits", help="limits of agreement")
    limits.add_argument("--width-sds", type=float, required=True, help="in SDs of the differences")
    icc = of.add_parser("icc", help="intraclass correlation")
    icc.add_argument("--icc", type=float, required=True, help="expected")
    icc.add_argument("--readers", type=int, default=2)
    auc = of.add_parser("auc", help="area under the ROC curve")
    auc.add_argument("--auc", type=float, required=True, help="expected")
    auc.add_argument("--share", type=float, required=True, help="of scans with the outcome")
    for part in (icc, auc):
        part.add_argument("--width", type=float, required=True, help="of the 95 %% interval")
    asked = parser.parse_args(arguments)
    if asked.of == "limits":
        n, what = scans_for_limits(asked.width_sds), f"a limit, {asked.width_sds:g} SD wide"
    elif asked.of == "icc":
        n, what = scans_for_icc(asked.icc, asked.width, asked.readers), f"an ICC of {asked.icc:g}"
    else:
        n, what = scans_for_auc(asked.auc, asked.width, asked.share), f"an AUC of {asked.auc:g}"
    width = "" if asked.of == "limits" else f", {asked.width:g} wide"
    return f"{n} scans for a 95 % interval of {what}{width}"


if __name__ == "__main__":
    try:
        print(plan(sys.argv[1:]))
    except UserError as mistake:
        sys.exit(str(mistake))
