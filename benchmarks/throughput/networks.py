"""Latency and throughput of the U-Nets on Keras's backend: inference and training steps.

    benchmarks/throughput/networks.py FOLDER --filters 32 --precision float32 bfloat16 \
        --xla off on --calls 100 --peer PYTHON

TensorFlow by default, `KERAS_BACKEND=jax` for JAX (always compiled). `--peer` names a Python with
PyTorch and MONAI: MONAI's U-Net of the same shape is timed in the same run (peer.py). One line of
throughput.csv for each task, precision and compiler; draw.py draws them.
"""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "workflow_scripts"))

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import keras
import numpy as np
from calcohort.networks.losses import dice_and_cross_entropy
from calcohort.networks.unet import build_unet
from timing import arguments, convolution_flop, every_level, keep, options, time_calls


def loss_of(truth, probability):
    """Return the loss for Keras's loop, where the truth has a channel axis."""
    return dice_and_cross_entropy(truth[..., 0], probability)


def peak_flop_per_s(precision: str, side: int) -> float:
    """Return what one large product of matrices reaches on the same device: the roof."""
    matrix = keras.ops.ones((side, side), dtype=precision)
    best = 0.0
    for _ in range(5):
        start = time.perf_counter()
        keras.ops.convert_to_numpy(keras.ops.matmul(matrix, matrix)[:1, :1])
        best = max(best, 2 * side**3 / (time.perf_counter() - start))
    return best


def measure(given, precision: str, xla: bool) -> None:
    """Time one network on noise; the result is checked to be finite."""
    policy = None if precision == "float32" else f"mixed_{precision}"
    filters = every_level(given.filters, given.depth)
    model = build_unet(filters, given.depth, tuple(given.shape), dtype=policy)
    optimiser = keras.optimizers.Adam(1e-4)
    if precision == "float16":
        optimiser = keras.optimizers.LossScaleOptimizer(optimiser)
    compiled = xla or keras.backend.backend() == "jax"
    model.compile(optimiser, loss_of, jit_compile=compiled)
    rng = np.random.default_rng(0)
    image = rng.random((1, *given.shape, 1), dtype=np.float32)
    label = (image > 0.9).astype(np.uint8)
    calls = {
        "inference": lambda: model.predict_on_batch(image),
        "training": lambda: model.train_on_batch(image, label),
    }
    flop = convolution_flop(filters, given.shape)
    peak = peak_flop_per_s(precision, 16384 if gpu() else 4096)
    for task in given.tasks:
        if not np.isfinite(calls[task]()).all():
            raise SystemExit(f"{task}, {precision}: the result is not finite")
        line = {
            "library": keras.backend.backend(), "device": gpu() or f"cpu, {os.cpu_count()} cores",
            "task": task, "filters": " ".join(map(str, given.filters)), "depth": given.depth,
            "shape": "x".join(map(str, given.shape)), "precision": precision,
            "compiled": compiled,
        }  # fmt: skip
        passes = 3 if task == "training" else 1
        keep(given.folder, line, time_calls(calls[task], given.calls), passes * flop, peak)


def gpu() -> str | None:
    """Name the first GPU that the backend sees."""
    return next(iter(keras.distribution.list_devices("gpu")), None)


def main() -> None:
    """Run the command."""
    parser = options(__doc__.splitlines()[0])
    parser.add_argument("--xla", nargs="+", choices=("off", "on"), default=["off"])
    parser.add_argument("--peer", help="a Python with PyTorch and MONAI")
    given = parser.parse_args()
    for precision, xla in itertools.product(given.precision, given.xla):
        measure(given, precision, xla == "on")
        keras.backend.clear_session()
    if given.peer:
        peer = str(Path(__file__).with_name("peer.py"))
        subprocess.run([given.peer, peer, *arguments(given)], check=True)


if __name__ == "__main__":
    main()
