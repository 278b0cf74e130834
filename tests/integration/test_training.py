"""`snakemake train` on a small cohort, as a site runs it: from scans to named weights."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort import volume
from calcohort.applicability import ranges_table, read_ranges
from calcohort.study import read_config, read_settings
from calcohort.volume import Volume
from running import run

AFFINE = np.diag([1.0, 1.0, 1.0, 1.0])
SHAPE = (48, 56, 56)
TRAINING = {
    "networks": ["unet2"],
    "folds": 2,
    "learning_rate": 0.01,
    "validate_every": 4,
    "unet2": {
        "filters": 2,
        "depth": 2,
        "block_kji": [2, 2, 2],
        "stages": [{"shape_blocks_kji": [16, 16, 16], "epochs": 12}],
    },
}


def write_scan(folder, number):
    """A body of 40 HU in air with a root of blood at a place of its own."""
    rng = np.random.default_rng(number)
    hu = rng.normal(40, 10, SHAPE).astype(np.int16)
    hu[:2] = hu[:, :4] = hu[:, -4:] = -1000
    root = np.zeros(SHAPE, bool)
    root[tuple(slice(start, start + 16) for start in rng.integers(12, 24, 3))] = True
    hu[root] += 400
    volume.write(folder / f"s{number}.nii.gz", Volume(hu, AFFINE))
    volume.write(folder / f"s{number}_root.nii.gz", Volume(root, AFFINE))


@pytest.fixture
def study(tmp_path):
    for number in range(4):
        write_scan(tmp_path, number)
    rows = [f"s{n}\ts{n}.nii.gz\ts{n}_root.nii.gz" for n in range(4)]
    sheet = tmp_path / "scans.tsv"
    sheet.write_text("\n".join(["scan_id\tdicom\treference_root_mask", *rows]) + "\n")
    config = {
        "sheet": str(sheet),
        "results": str(tmp_path / "results"),
        "pseudonym_key_file": str(tmp_path / "key"),
        "private": str(tmp_path / "private"),
        "convert": {"min_coverage_mm": 30},
        "resample": {"spacing_mm": None},
        "crop": {"shape_kji": [32, 32, 32]},
        "measure": {"cube_sides_mm": [8, 8, 8]},
        "training": TRAINING,
    }
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(config))
    return tmp_path


@pytest.mark.slow
def test_train_ends_with_figures_card_and_weights_to_name(study):
    code, output = run(study / "study.yaml", "train")
    assert code == 0, output
    trained = study / "results/training/unet2"

    scans = pd.read_csv(trained / "cross_validation.csv")
    assert sorted(scans["scan_id"]) == ["s0", "s1", "s2", "s3"]
    assert list(scans.groupby("fold").size()) == [2, 2]
    split = pd.read_csv(trained / "split.csv").set_index("scan_id")["fold"]
    assert scans.set_index("scan_id")["fold"].to_dict() == split.to_dict()
    summary = pd.read_csv(trained / "summary.csv").set_index("fold")
    assert summary.loc["overall", "dice_mean"] == pytest.approx(scans["dice"].mean(), abs=1e-4)
    assert scans["dice"].mean() > 0.5

    config = yaml.safe_load((trained / "network.yaml").read_text())
    named = config["segment"]["network"]
    weights = Path(named["weights"])
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == named["sha256"]
    assert weights == trained / "all/unet2.weights.h5"
    assert (trained / "learning_curves.png").stat().st_size > 5000
    card = (trained / "MODEL_CARD.md").read_text()
    assert "| overall | 4 |" in card

    settings = read_settings(read_config(trained / "network.yaml"))
    ranges = read_ranges(settings["trained_on"]["segment"])["ranges"]
    assert ranges["slice_spacing_mm"] == {"low": 1, "high": 1, "scans": 4}
    assert ranges["coverage_mm"] == {"low": 48, "high": 48, "scans": 4}
    assert ranges["field_of_view_mm"] == {"low": 56, "high": 56, "scans": 4}
    assert 430 < ranges["luminance_hu"]["low"] <= ranges["luminance_hu"]["high"] < 450
    assert 9 < ranges["luminance_sd_hu"]["low"] <= ranges["luminance_sd_hu"]["high"] < 11
    assert ranges_table(ranges) in card

    again = run(study / "study.yaml", "train")
    assert "Nothing to be done" in again[1]


@pytest.mark.slow
def test_every_problem_is_told_before_anything_is_trained(study):
    root = volume.read(study / "s0_root.nii.gz")
    volume.write(study / "s0_root.nii.gz", Volume(np.zeros_like(root.array), AFFINE))
    moved = AFFINE.copy()
    moved[0, 3] = 5
    root = volume.read(study / "s1_root.nii.gz")
    volume.write(study / "s1_root.nii.gz", Volume(root.array, moved))
    (study / "s3.nii.gz").write_bytes((study / "s2.nii.gz").read_bytes())
    (study / "s3_root.nii.gz").write_bytes((study / "s2_root.nii.gz").read_bytes())
    assert run(study / "study.yaml", "train")[0] == 1
    log = (study / "results/logs/split_folds/unet2.log").read_text()
    assert "s0: mask_empty" in log and "s1: mask_on_other_grid" in log
    assert "s2 and s3 are the same image" in log
    assert "Traceback" not in log
    assert not (study / "results/training/unet2/all").exists()
