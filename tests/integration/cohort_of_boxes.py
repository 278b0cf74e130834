"""A small cohort of NIfTI scans whose every number is known by hand."""

from pathlib import Path

import numpy as np
import yaml
from calcohort import volume

SHAPE = (64, 80, 80)
AFFINE = np.diag([0.5, 0.5, 0.625, 1.0])
VOXEL_MM3 = 0.5 * 0.5 * 0.625
ROOT = (slice(12, 52), slice(20, 60), slice(20, 60))
DEPOSITS = {"small": (5, 5, 4), "large": (10, 12, 6)}


def write_scan(
    path: Path, lumen_hu: int, deposit: str | None, deposit_hu: int = 1200, noise_hu: int = 0
) -> None:
    """A body of 40 HU in air, a box of blood in it, and a deposit at the box's foot."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:60, 8:72, 8:72] = 40
    hu[ROOT] = lumen_hu
    if deposit:
        k, j, i = DEPOSITS[deposit]
        hu[13 : 13 + k, 22 : 22 + j, 22 : 22 + i] = deposit_hu
    hu += np.random.default_rng(0).normal(0, noise_hu, SHAPE).astype(np.int16)
    volume.write(path, volume.Volume(hu, AFFINE))


def deposit_mm3(name: str) -> float:
    """Volume of a deposit: its voxels times 0.15625 mm³."""
    return float(np.prod(DEPOSITS[name]) * VOXEL_MM3)


def write_mask(path: Path, affine: np.ndarray = AFFINE, empty: bool = False) -> None:
    """The box of blood as a mask."""
    mask = np.zeros(SHAPE, bool)
    mask[ROOT] = not empty
    volume.write(path, volume.Volume(mask, affine))


def make_study(folder: Path, **settings) -> Path:
    """Write scans, masks and sheet; return the config file."""
    moved = AFFINE.copy()
    moved[0, 3] += 3
    write_mask(folder / "root.nii.gz")
    write_mask(folder / "moved.nii.gz", moved)
    write_mask(folder / "empty.nii.gz", empty=True)
    for name, lumen, deposit in (
        ("large", 500, "large"),
        ("small", 600, "small"),
        ("clean", 550, None),
        ("native", 45, None),
        ("bright", 1100, None),
    ):
        write_scan(folder / f"{name}.nii.gz", lumen, deposit)
    write_scan(folder / "metal.nii.gz", 500, "small", deposit_hu=3071)
    write_scan(folder / "noisy.nii.gz", 500, "small", noise_hu=80)
    whole = (folder / "large.nii.gz").read_bytes()
    (folder / "truncated.nii.gz").write_bytes(whole[: len(whole) // 2])
    rows = [
        ("large", "large.nii.gz", "root.nii.gz", "root.nii.gz", 600, 130.0),
        ("small", "small.nii.gz", "root.nii.gz", "root.nii.gz", 690, 16.0),
        ("clean", "clean.nii.gz", "root.nii.gz", "", 650, 0.0),
        ("native", "native.nii.gz", "root.nii.gz", "root.nii.gz", "", ""),
        ("bright", "bright.nii.gz", "root.nii.gz", "", "", ""),
        ("metal", "metal.nii.gz", "root.nii.gz", "", "", ""),
        ("noisy", "noisy.nii.gz", "root.nii.gz", "", "", ""),
        ("truncated", "truncated.nii.gz", "root.nii.gz", "", "", ""),
        ("absent", "absent.nii.gz", "root.nii.gz", "", "", ""),
        ("moved", "large.nii.gz", "moved.nii.gz", "", "", ""),
        ("empty", "large.nii.gz", "empty.nii.gz", "", "", ""),
        ("no-mask-file", "large.nii.gz", "nowhere.nii.gz", "", "", ""),
    ]
    header = (
        "scan_id dicom root_mask reference_root_mask reference_threshold_hu reference_volume_mm3"
    )
    lines = ["\t".join(header.split()), *("\t".join(map(str, row)) for row in rows)]
    (folder / "scans.tsv").write_text("\n".join(lines) + "\n")
    config = {
        "sheet": str(folder / "scans.tsv"),
        "results": str(folder / "results"),
        "pseudonym_key_file": str(folder / "key"),
        "private": str(folder / "private"),
        "convert": {"min_coverage_mm": 30},
        "scores": {"passport": True},
    }
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(config | settings))
    return path
