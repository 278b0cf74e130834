"""What each default of the training is worth: U-Net2 with and without it, on phantoms.

    PYTHONPATH=workflow_scripts .venv/bin/python benchmarks/ablations.py STORE FOLDER

Takes the U-Net2 samples of a store (`make_samples.py`) on blocks twice as large, so that a training
takes minutes; judges by samples that it did not learn from. Writes `ablations.csv`, one row a
training, and prints a line a variant. Stopped and started again, it goes on.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import numpy as np
import pandas as pd
import yaml
from calcohort.networks.data import keep_sample, read_sample
from calcohort.networks.plan import Plan
from calcohort.networks.train import train

ROOT = Path(__file__).parents[1]
DEFAULT = yaml.safe_load((ROOT / "protocols/aortic_root.yaml").read_text())["training"]
EXTRA = {name: amount for name, amount in DEFAULT["augmentation"].items() if amount}
PATCH, FULL = (48, 48, 48), (56, 64, 64)


def variants(steps: int) -> dict[str, Plan]:
    """Return the default plan, and others that differ from it in one thing each."""
    stages = ((PATCH, steps // 3), (FULL, steps - steps // 3))
    default = Plan("unet2", stages, 8, 3, 2e-3, DEFAULT["mirror"], augmentation=EXTRA)
    others = {
        f"without {name}": replace(default, augmentation={**EXTRA, name: 0}) for name in EXTRA
    }
    return {
        "default": default,
        **others,
        "with the paper's flip": replace(default, mirror=True),
        "constant learning rate": replace(default, schedule="constant"),
        "full field of view alone": replace(default, stages=((FULL, steps),)),
    }


def coarser(store: Path, folder: Path, names: list[str]) -> None:
    """Write the samples on blocks twice as large along each axis."""
    for name in names:
        sample = read_sample(store, name, "unet2")
        image, label = (
            array.reshape(*(part for n in array.shape for part in (n // 2, 2))).mean((1, 3, 5))
            for array in (np.float32(sample.image), np.float32(sample.label > 0))
        )
        keep_sample(folder, name, "unet2", image, label >= 0.5)


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("store", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--training", type=int, default=200, help="samples to learn from")
    parser.add_argument("--judged", type=int, default=60, help="other samples, to judge by")
    parser.add_argument("--steps", type=int, default=450)
    parser.add_argument("--seeds", type=int, default=2, help="trainings of each variant")
    asked = parser.parse_args()
    found = sorted(p.name.removesuffix("_label.npy") for p in asked.store.glob("unet2/*_label.npy"))
    chosen = np.random.default_rng(0).permutation(found)[: asked.training + asked.judged].tolist()
    coarse = asked.folder / "store"
    if not coarse.exists():
        coarser(asked.store, coarse, chosen)
    for seed in range(asked.seeds):
        for variant, plan in variants(asked.steps).items():
            folder = asked.folder / f"{variant.replace(' ', '_')}-{seed}"
            train(
                replace(plan, seed=seed), coarse, chosen[: asked.training],
                chosen[asked.training :], folder, folder / "unet2.weights.h5",
            )  # fmt: skip
    rows = [
        {"variant": variant, "seed": seed, **_end(asked.folder, variant, seed)}
        for variant in variants(asked.steps)
        for seed in range(asked.seeds)
    ]
    table = pd.DataFrame(rows)
    table.to_csv(asked.folder / "ablations.csv", index=False)
    print(table.groupby("variant", sort=False)["validation_dice_mean"].agg(["mean", "min", "max"]))


def _end(folder: Path, variant: str, seed: int) -> dict:
    log = pd.read_csv(folder / f"{variant.replace(' ', '_')}-{seed}/log.csv")
    return log.iloc[-1][["loss", "validation_dice_mean", "validation_dice_min"]].to_dict()


if __name__ == "__main__":
    main()
