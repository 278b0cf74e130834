"""Latency and throughput of the U-Nets: inference and training steps, as paper 000's Figs. 7 to 10.

    benchmarks/network_throughput.py results/throughput.csv --filters 32 --shape 224 256 256 \
        --repeats 100 --precision float32 bfloat16 --xla off on

Runs on Keras's backend: TensorFlow by default, `KERAS_BACKEND=jax` for JAX (always compiled). One
row per precision and compiler: seconds at the 50th, 90th, 99th percentile, and scans per second.
"""

import argparse
import itertools
import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import keras
import numpy as np
import pandas as pd
from calcohort.networks.losses import dice_and_cross_entropy
from calcohort.networks.unet import build_unet

WARM_UP = 3


def time_calls(call, repeats: int) -> np.ndarray:
    """Return the seconds of each of `repeats` calls, after some that are not counted."""
    seconds = []
    for number in range(WARM_UP + repeats):
        start = time.perf_counter()
        call()
        if number >= WARM_UP:
            seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def loss_of(truth, probability):
    """Return the loss for Keras's loop, where the truth has a channel axis."""
    return dice_and_cross_entropy(truth[..., 0], probability)


def measure(options: argparse.Namespace, precision: str, xla: bool) -> list[dict]:
    """Time inference and training of one network on noise; the result is checked to be finite."""
    policy = None if precision == "float32" else f"mixed_{precision}"
    model = build_unet(options.filters, options.depth, tuple(options.shape), dtype=policy)
    optimiser = keras.optimizers.Adam(1e-4)
    if precision == "float16":
        optimiser = keras.optimizers.LossScaleOptimizer(optimiser)
    model.compile(optimiser, loss_of, jit_compile=xla or keras.backend.backend() == "jax")
    rng = np.random.default_rng(0)
    image = rng.random((1, *options.shape, 1), dtype=np.float32)
    label = (image > 0.9).astype(np.uint8)
    calls = {
        "inference": lambda: model.predict_on_batch(image),
        "training": lambda: model.train_on_batch(image, label),
    }
    rows = []
    for task in options.tasks:
        if not np.isfinite(calls[task]()).all():
            raise SystemExit(f"{task}, {precision}: the result is not finite")
        seconds = time_calls(calls[task], options.repeats)
        percentiles = np.percentile(seconds, (50, 90, 99))
        rows.append(
            {
                "backend": keras.backend.backend(), "device": device(), "task": task,
                "filters": options.filters, "depth": options.depth,
                "shape": "x".join(map(str, options.shape)), "precision": precision, "xla": xla,
                "repeats": options.repeats, "scans_per_s": round(1 / seconds.mean(), 4),
                **{f"p{q}_s": round(s, 5) for q, s in zip((50, 90, 99), percentiles, strict=True)},
            }
        )  # fmt: skip
        print(rows[-1], flush=True)
    return rows


def device() -> str:
    """Name the device: the first GPU that the backend sees, or the CPU's cores."""
    gpus = keras.distribution.list_devices("gpu")
    return gpus[0] if gpus else f"cpu, {os.cpu_count()} cores"


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("table", type=Path, help="CSV file to write")
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--shape", type=int, nargs=3, default=(224, 256, 256))
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--precision", nargs="+", default=["float32"])
    parser.add_argument("--xla", nargs="+", choices=("off", "on"), default=["off"])
    parser.add_argument("--tasks", nargs="+", default=["inference", "training"])
    options = parser.parse_args()
    rows = []
    for precision, xla in itertools.product(options.precision, options.xla):
        rows += measure(options, precision, xla == "on")
        options.table.parent.mkdir(parents=True, exist_ok=True)
        pd.DataFrame(rows).to_csv(options.table, index=False, lineterminator="\n")
        keras.backend.clear_session()


if __name__ == "__main__":
    main()
