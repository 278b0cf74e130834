"""Draw which scan was on which GPU when, and tell the idle share. In: a study's results folder."""

import argparse
import sys
from pathlib import Path

from calcohort.outcomes import UserError
from calcohort.report.gantt import draw_gantt
from calcohort.trace import overlaps, read_traces


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path, help="the folder `results` of config.yaml")
    parser.add_argument("picture", type=Path, help="the PNG to write")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asked = parse()
    try:
        spans = read_traces(asked.results / "logs/trace")
        summary = draw_gantt(spans, asked.picture)
    except UserError as problem:
        sys.exit(f"draw_trace: {problem}")
    for name, value in summary.items():
        print(f"{name}\t{value:.4g}")
    if shared := overlaps(spans):
        before, after = shared[0]
        sys.exit(
            f"draw_trace: {len(shared)} times two scans shared a device, first "
            f"{before.scan_id} and {after.scan_id} on {before.host} {before.device}"
        )
