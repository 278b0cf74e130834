"""How steady both networks are on a real heart that is turned, scaled, noised or surrounded.

    benchmarks/real_heart_changes.py CROP.nii.gz OUT.csv [--configfile network.yaml]

There is no reference: what is found in the changed heart is held against what is found in the
heart as it is, moved alike. A network that knows hearts does not mind such changes.
"""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "workflow_scripts"))

import numpy as np
import pandas as pd
from both_networks import BothNetworks
from calcohort import volume
from calcohort.volume import Volume
from real_heart import SPACING_MM, on_cardiac_grid
from scipy import ndimage
from scipy.spatial.transform import Rotation

KJI_TO_IJK = np.eye(4)[[2, 1, 0, 3]]
SURROUNDINGS_HU = {"air": -1024.0, "lung": -850.0, "fat": -100.0, "water": 0.0}


def moved(image: Volume, motion: np.ndarray, of: Volume, **how) -> np.ndarray:
    """Return an image ``[k, j, i]`` after a motion (4, 4) in world mm, on the grid of another."""
    index = np.linalg.inv(image.affine) @ np.linalg.inv(motion) @ of.affine
    index = KJI_TO_IJK @ index @ KJI_TO_IJK
    return ndimage.affine_transform(
        image.array.astype(np.float32), index[:3, :3], index[:3, 3], of.array.shape, **how
    )


def motion(about_mm: np.ndarray, turn: Rotation, size: float) -> np.ndarray:
    """Return the motion (4, 4) that turns about a point and scales by `size`."""
    matrix = np.eye(4)
    matrix[:3, :3] = size * turn.as_matrix()
    matrix[:3, 3] = about_mm - matrix[:3, :3] @ about_mm
    return matrix


def motions() -> Iterator[tuple[str, Rotation, float]]:
    """Yield turns and sizes, with their names."""
    for axis in "xyz":
        for degrees in (-30, -15, 15, 30):
            turn = Rotation.from_euler(axis, degrees, degrees=True)
            yield f"turned about {axis} by {degrees}°", turn, 1.0
    for size in (0.8, 0.85, 0.9, 1.1, 1.25, 1.4):
        yield f"size {size:g}", Rotation.identity(), size


def other_looks(heart: Volume, inside: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield a heart that fills `inside` with other noise, HU and surroundings, with their names."""
    hu, rng = heart.array.astype(np.float32), np.random.default_rng(0)
    for sd_hu in (15, 30, 60):
        grain = ndimage.gaussian_filter(rng.normal(size=hu.shape), 1.0)
        yield f"noise of {sd_hu} HU", hu + sd_hu * grain / grain.std()
    for shift_hu in (-40, 40):
        yield f"{shift_hu:+d} HU", hu + shift_hu
    for times in (0.6, 1.5):
        yield f"contrast above 60 HU times {times:g}", np.where(hu > 60, 60 + (hu - 60) * times, hu)
    yield "blurred by 1.5 mm", ndimage.gaussian_filter(hu, 1.5 / np.array(SPACING_MM))
    yield "slices of 2.5 mm", hu.reshape(-1, 4, *hu.shape[1:]).mean(axis=1).repeat(4, axis=0)
    for name, around_hu in SURROUNDINGS_HU.items():
        yield f"{name} around", np.where(inside, hu, around_hu)
    y, x = (np.linspace(-1, 1, n) for n in hu.shape[1:])
    body = np.where((y[:, None] / 0.84) ** 2 + (x / 0.97) ** 2 < 1, 40.0, -1000.0)
    yield "a body around", np.where(inside, hu, body)
    narrow = np.full_like(hu, -1024)
    field = tuple(slice(n // 9, n - n // 9) for n in hu.shape)
    narrow[field] = hu[field]
    yield "a field two ninths narrower, in air", narrow


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scan", type=Path)
    parser.add_argument("out", type=Path, help="CSV")
    parser.add_argument("--configfile", type=Path, help="laid over config.yaml: other weights")
    given = parser.parse_args()
    scan, networks = volume.read(given.scan), BothNetworks(given.configfile)
    heart = on_cardiac_grid(scan)
    still = networks.find(heart)
    if still.root is None:
        sys.exit(f"nothing to compare with: {still.why}")
    print(f"as it is: root {still.root_ml:.1f} mL")
    root, rows = Volume(still.root, still.ct.affine), []

    def judge(change: str, hu: np.ndarray, matrix: np.ndarray) -> None:
        found = networks.find(Volume(np.rint(hu).astype(np.int16), heart.affine))
        asked = moved(root, matrix, found.ct, order=1) >= 0.5
        row = {"change": change, "outcome": found.why or "found"}
        if found.box:
            row["share_in_box"] = asked[found.box].sum() / asked.sum()
        if found.root is not None:
            row["dice"] = 2 * (found.root & asked).sum() / (found.root.sum() + asked.sum())
            row["volume_ratio"] = found.root.sum() / asked.sum()
        rows.append(row)
        told = (f"{value:.3f}" if isinstance(value, float) else value for value in row.values())
        print(", ".join(told), flush=True)

    middle_mm = scan.grid.world((np.array(scan.array.shape) - 1) / 2)
    for change, turn, size in motions():
        matrix = motion(middle_mm, turn, size)
        judge(change, moved(scan, matrix, heart, order=1, mode="nearest"), matrix)
    whole = Volume(np.ones(scan.array.shape), scan.affine)
    inside = moved(whole, np.eye(4), heart, order=0) > 0
    for change, hu in other_looks(heart, inside):
        judge(change, hu, np.eye(4))

    table = pd.DataFrame(rows)
    table.to_csv(given.out, index=False, float_format="%.4f")
    dice = table["dice"].dropna()
    print(
        f"{len(table)} changes: {len(dice)} with a root, Dice {dice.mean():.3f}, "
        f"least {dice.min():.3f}; in the box {table['share_in_box'].mean():.3f}"
    )


if __name__ == "__main__":
    main()
