"""How often the control charts alarm without cause: processes in control, normal values.

PYTHONPATH=workflow_scripts python benchmarks/drift.py results/benchmarks
"""

import argparse
from pathlib import Path

import numpy as np
from calcohort.drift import charts

RUNS, WEIGHT = 2000, 0.2


def false_alarms(scans: int, baseline: int) -> tuple[float, float]:
    """Share of runs with an alarm of the moving average; single scans beyond, in 1,000."""
    smooth = single = 0
    for run in range(RUNS):
        values = np.random.default_rng([scans, run]).normal(size=scans)
        spread = charts.in_control(values[:baseline])
        average, low, high = charts.moving_average(values, spread, WEIGHT)[baseline:].T
        smooth += ((average < low) | (average > high)).any()
        low, high = charts.limits(spread)
        single += ((values[baseline:] < low) | (values[baseline:] > high)).sum()
    return smooth / RUNS, 1000 * single / (RUNS * (scans - baseline))


def main() -> None:
    """Write `drift.md` into the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    lines = [
        f"False alarms of control charts, {RUNS} runs of one quantity.\n",
        "| scans | baseline | runs with an alarm of the moving average | single scans in 1,000 |",
        "|---|---|---|---|",
    ]
    for scans in (120, 500, 1000):
        for baseline in (30, 50):
            share, single = false_alarms(scans, baseline)
            lines.append(f"| {scans} | {baseline} | {100 * share:.0f} % | {single:.1f} |")
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (folder / "drift.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
