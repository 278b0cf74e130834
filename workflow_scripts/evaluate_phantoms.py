"""Write the evaluation of a phantom run. In: the run's results folder. Out: a Markdown page."""

import argparse
import sys
from pathlib import Path

from calcohort.evaluation.evaluate import write_evaluation
from calcohort.outcomes import UserError


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="folder with phantoms/scans.tsv and cohort/")
    parser.add_argument("out", type=Path, help="the Markdown file, docs/evaluation.md")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    given = parse()
    try:
        lines = write_evaluation(
            given.results / "cohort", given.results / "phantoms" / "scans.tsv", given.out
        )
    except UserError as problem:
        sys.exit(f"evaluate_phantoms: {problem}")
    for line in lines:
        verdict = "met" if line.is_met else "NOT MET"
        print(f"{line.asked}: {line.value:.{line.decimals}f}, {verdict}")
    print(f"written: {given.out}")
