"""What the benchmarks of both libraries share: timing, and a line of the table."""

import argparse
import csv
import time
from collections.abc import Callable, Sequence
from pathlib import Path

WARM_UP = 3
PERCENTILES = (50, 90, 95, 99, 99.9)
COLUMNS = (
    "library", "device", "task", "filters", "depth", "shape", "precision", "compiled", "calls",
    "scans_per_s", *(f"p{percentile}_s" for percentile in PERCENTILES),
    "tflop", "peak_tflop_per_s", "share_of_peak",
)  # fmt: skip


def options(description: str) -> argparse.ArgumentParser:
    """Return the command line that both benchmarks have."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("folder", type=Path, help="gets throughput.csv and latencies.csv")
    parser.add_argument(
        "--filters", type=int, nargs="+", default=[8], help="of the first level, or of every level"
    )
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--shape", type=int, nargs=3, default=(224, 256, 256))
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--tasks", nargs="+", default=["inference", "training"])
    return parser


def arguments(given: argparse.Namespace) -> list[str]:
    """Return the command line that `options` reads as `given`."""
    words = [given.folder]
    for name in ("filters", "depth", "shape", "calls", "precision", "tasks"):
        value = getattr(given, name)
        words += [f"--{name}", *(value if isinstance(value, list | tuple) else [value])]
    return list(map(str, words))


def every_level(filters: Sequence[int], depth: int) -> list[int]:
    """Return the filters of every level, as `calcohort.networks.plan.level_filters` does."""
    if len(filters) > 1:
        return list(filters)
    return [min(filters[0] * 2**level, filters[0] * 10) for level in range(depth + 1)]


def time_calls(call: Callable[[], object], calls: int) -> list[float]:
    """Return the seconds of each call, after some that are not counted."""
    seconds = []
    for number in range(WARM_UP + calls):
        start = time.perf_counter()
        call()
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - start)
    return seconds


def convolution_flop(
    filters: Sequence[int], shape: Sequence[int], classes: int = 2, kernel: int = 27
) -> float:
    """Count the arithmetic of one forward pass of the U-Net: its convolutions, 2 flop a product.

    Parameters
    ----------
    filters : sequence of int
        Of each level, the input's first.
    shape : sequence of int
        Of the input, ``(k, j, i)``.
    """
    voxels = [shape[0] * shape[1] * shape[2] / 8**level for level in range(len(filters))]
    products = voxels[0] * (filters[0] + filters[0] ** 2 + filters[0] * classes) * kernel
    for level in range(1, len(filters)):
        above, here = filters[level - 1], filters[level]
        products += voxels[level] * (above * here + here**2) * kernel
        products += voxels[level] * 8 * here * above
        products += voxels[level - 1] * (2 * above * above + above**2) * kernel
    return 2 * products


def keep(
    folder: Path, line: dict, seconds: Sequence[float], flop: float, peak_flop_per_s: float
) -> None:
    """Append one line to throughput.csv and its calls to latencies.csv."""
    ordered = sorted(seconds)
    mean = sum(seconds) / len(seconds)
    line |= {"calls": len(seconds), "scans_per_s": float(f"{1 / mean:.5g}")}
    for percentile in PERCENTILES:
        place = min(int(len(ordered) * percentile / 100), len(ordered) - 1)
        line[f"p{percentile}_s"] = round(ordered[place], 5)
    line |= {
        "tflop": round(flop / 1e12, 4),
        "peak_tflop_per_s": round(peak_flop_per_s / 1e12, 3),
        "share_of_peak": round(flop / mean / peak_flop_per_s, 3),
    }
    print(line, flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    _append(folder / "throughput.csv", COLUMNS, [line])
    names = ("library", "task", "precision", "compiled", "filters")
    of_calls = [{name: line[name] for name in names} | {"s": round(s, 6)} for s in seconds]
    _append(folder / "latencies.csv", (*names, "s"), of_calls)


def _append(path: Path, columns: Sequence[str], rows: Sequence[dict]) -> None:
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        if new:
            writer.writeheader()
        writer.writerows(rows)
