"""Training throughput against Horovod's process count: the project's own loop, on noise.

    benchmarks/throughput/processes.py FOLDER --filters 8 --depth 4 --shape 112 128 128 \
        --processes 1 2

On a CPU as many cores as processes are used, and one process on all cores is timed beside them;
with `--device gpu` each process has a GPU. The first epoch, which traces and compiles, is not
counted. Writes processes.csv, one line a run.
"""

import argparse
import multiprocessing
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow_scripts"))

import numpy as np
import pandas as pd

EPOCHS = 4


def make_samples(store: Path, shape: tuple[int, int, int], count: int) -> list[str]:
    """Write samples of noise and return their names."""
    from calcohort.networks.data import keep_sample

    rng = np.random.default_rng(0)
    names = [f"noise-{number}" for number in range(count)]
    for name in names:
        image = rng.random(shape, dtype=np.float32)
        keep_sample(store, name, "unet2", image, image > 0.9)
    return names


def seconds_a_scan(given: argparse.Namespace, processes: int, cores: int) -> float:
    """Train for some epochs on so many cores; return the mean of all epochs but the first."""
    from calcohort.networks.plan import Plan
    from calcohort.training.job import run_job

    if given.device == "cpu":
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:cores])
    scans = given.batch * given.steps
    store, folder = given.folder / "store", given.folder / f"{processes}-of-{cores}"
    shape = tuple(given.shape)
    plan = Plan(
        "unet2", ((shape, EPOCHS * given.steps),), given.filters, given.depth, batch=given.batch,
        precision=given.precision,
    )  # fmt: skip
    run_job(
        plan, store=store, training_names=make_samples(store, shape, scans), validation_names=[],
        contents=[], folder=folder, weights=folder / "unet2.weights.h5", log=folder / "log.csv",
        start_from=None, device=given.device, processes=processes,
    )  # fmt: skip
    hours = pd.read_csv(folder / "log.csv")["hours"]
    return float(hours.iloc[-1] - hours.iloc[0]) * 3600 / (scans * (EPOCHS - 1))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="an empty folder; gets processes.csv")
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--depth", type=int, default=4)
    parser.add_argument("--shape", type=int, nargs=3, default=(112, 128, 128))
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--batch", type=int, default=2, help="a multiple of every process count")
    parser.add_argument("--steps", type=int, default=4, help="of an epoch")
    parser.add_argument("--device", choices=["cpu", "gpu"], default="cpu")
    parser.add_argument("--precision", default="float32")
    given = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    runs = [(count, count) for count in given.processes]
    if given.device == "cpu" and (1, cores) not in runs:
        runs.append((1, cores))
    rows = []
    for processes, used in runs:
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds = pool.apply(seconds_a_scan, (given, processes, used))
        rows.append({"processes": processes, "cores": used, "s_per_scan": round(seconds, 3)})
        print(rows[-1], flush=True)
    table = pd.DataFrame(rows)
    alone = table["s_per_scan"].iloc[0] * table["processes"].iloc[0]
    table["share_of_linear"] = (alone / table["s_per_scan"] / table["cores"]).round(3)
    table.to_csv(given.folder / "processes.csv", index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
