"""How often the 95 % intervals hold the truth, in simulated cohorts whose truth is known.

PYTHONPATH=workflow_scripts python benchmarks/coverage.py results/benchmarks --runs 2000

Agreement: sizes t ~ N(200, 80²), reference t + N(0, 15²), automatic t + 5 + N(0, 15²). AUC: two
normal populations one SD apart, 30 % cases. Logistic and Cox: slope 0.5 on N(0, 1), with one
covariate; follow-up ends at exponential times, and Cox is fitted to every fourth cohort.
"""

import argparse
import math
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from calcohort.agreement.statistics import agree
from calcohort.association import models, roc
from scipy import stats

SPREAD, ERROR, BIAS, SLOPE = 80.0, 15.0, 5.0, 0.5
COX_EVERY = 4


def agreement_truth() -> dict[str, tuple[float, str, str]]:
    """Name of an interval to the true value and the keys of its ends."""
    sd = ERROR * math.sqrt(2)
    total = SPREAD**2 + ERROR**2
    concordance = SPREAD**2 / (total + BIAS**2 / 2)
    mae = sd * math.sqrt(2 / math.pi) * math.exp(-(BIAS**2) / (2 * sd**2))
    mae += BIAS * (1 - 2 * stats.norm.cdf(-BIAS / sd))
    by_key = {
        "bias": BIAS,
        "mae": mae,
        "rmse": math.hypot(sd, BIAS),
        "r2": 1 - (sd**2 + BIAS**2) / total,
        "pearson_r": SPREAD**2 / total,
        "icc": concordance,
        "ccc": concordance,
        "slope": 1.0,
        "intercept": BIAS,
        "passing_bablok_slope": 1.0,
        "passing_bablok_intercept": BIAS,
    }
    found = {key: (value, f"{key}_ci_low", f"{key}_ci_high") for key, value in by_key.items()}
    for name, limit in (("loa_low", BIAS - 1.96 * sd), ("loa_high", BIAS + 1.96 * sd)):
        found[f"{name}, t"] = (limit, f"{name}_ci_low", f"{name}_ci_high")
        found[f"{name}, exact"] = (limit, f"{name}_exact_low", f"{name}_exact_high")
    return found


def intervals(
    n: int, rng: np.random.Generator, with_cox: bool
) -> Iterator[tuple[str, float, float, float]]:
    """Simulate one cohort; yield name, truth, and the ends of each interval (NaN: none)."""
    size = rng.normal(200, SPREAD, n)
    found = agree(size + BIAS + rng.normal(0, ERROR, n), size + rng.normal(0, ERROR, n))
    for name, (truth, low, high) in agreement_truth().items():
        yield name, truth, _number(found[low]), _number(found[high])
    outcome = np.arange(n) < 0.3 * n
    auc, covariance = roc.areas(outcome, (rng.normal(size=n) + outcome)[None])
    found = roc.describe_area(auc[0], covariance[0, 0])
    yield "AUC", stats.norm.cdf(1 / math.sqrt(2)), *_ends(found)
    columns = rng.normal(size=(n, 2))
    score = columns @ [SLOPE, 0.3]
    found = models.logistic(rng.random(n) < 1 / (1 + np.exp(-score)), columns)
    yield "odds ratio", math.exp(SLOPE), *_ends(found)
    if not with_cox:
        return
    time, end = rng.exponential(np.exp(-score)), rng.exponential(2, n)
    found = models.cox(time <= end, np.minimum(time, end), columns)
    yield "hazard ratio", math.exp(SLOPE), *_ends(found)


def simulate(n: int, runs: int) -> dict[str, tuple[float, int]]:
    """Share of runs whose interval holds the truth, and runs without an interval."""
    tried, held, missing = Counter(), Counter(), Counter()
    for run in range(runs):
        rng = np.random.default_rng([n, run])
        for name, truth, low, high in intervals(n, rng, run % COX_EVERY == 0):
            tried[name] += not math.isnan(low)
            held[name] += low <= truth <= high
            missing[name] += math.isnan(low)
    return {name: (held[name] / tried[name], missing[name]) for name in tried}


def _ends(found: dict) -> tuple[float, float]:
    return _number(found.get("ci_low")), _number(found.get("ci_high"))


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def main() -> None:
    """Write the table of coverage in percent to `coverage.md` of the given folder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 100])
    asked = parser.parse_args()
    columns = {n: simulate(n, asked.runs) for n in asked.sizes}
    lines = [
        f"Coverage of the 95 % intervals in percent, {asked.runs} cohorts of each size.",
        "",
        "| interval | " + " | ".join(f"n = {n}" for n in asked.sizes) + " |",
        "|---|" + "---|" * len(asked.sizes),
    ]
    for name in columns[asked.sizes[0]]:
        cells = []
        for n in asked.sizes:
            share, missing = columns[n][name]
            cells.append(f"{100 * share:.1f}" + (f" ({missing} none)" if missing else ""))
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    asked.folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(lines) + "\n"
    (asked.folder / "coverage.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
