import numpy as np
import pandas as pd
import pytest
import yaml
from calcohort.training.card import config_lines, model_card
from calcohort.training.summary import draw_learning_curves, summarise

SCANS = pd.DataFrame(
    {
        "scan_id": ["a", "b", "c", "d"],
        "fold": [1, 1, 2, 2],
        "dice": [0.9, 0.8, 0.95, 0.0],
        "iou": [0.82, 0.67, 0.9, 0.0],
        "assd_mm": [0.5, 0.7, 0.3, np.nan],
        "hd95_mm": [1.0, 2.0, 1.5, np.nan],
        "volume_error_mm3": [100.0, -300.0, 50.0, -9000.0],
    }
)


def test_folds_and_overall_by_hand():
    summary = summarise(SCANS).set_index("fold")
    assert list(summary.index) == ["1", "2", "overall"]
    assert list(summary["scans"]) == [2, 2, 4]
    assert list(summary["nothing_found"]) == [0, 1, 1]
    assert list(summary["dice_mean"]) == pytest.approx([0.85, 0.475, 0.6625])
    assert list(summary["dice_min"]) == [0.8, 0, 0]
    assert summary.loc["1", "dice_sd"] == pytest.approx(0.1 / 2**0.5, abs=1e-4)
    # The scan where nothing was found has no distance, but its Dice of 0 counts.
    assert summary.loc["overall", "hd95_mm_mean"] == pytest.approx(1.5)
    assert summary.loc["2", "hd95_mm_mean"] == 1.5
    assert summary.loc["overall", "volume_error_mm3_mean"] == pytest.approx(-9150 / 4)


def write_log(path, offset):
    steps = np.arange(1, 21)
    validation = [0.8 + offset if step % 10 == 0 else None for step in steps]
    rows = {"step": steps * 4, "loss": 1 / steps + offset, "dice": 1 - 1 / steps}
    pd.DataFrame(rows | {"validation_dice_mean": validation}).to_csv(path, index=False)
    return path


def test_learning_curves_are_the_same_bytes_for_the_same_logs(tmp_path):
    logs = [write_log(tmp_path / f"{n}.csv", n / 20) for n in range(3)]
    for name in ("a", "b"):
        draw_learning_curves(logs, "unet2", tmp_path / f"{name}.png")
    for suffix in (".png", ".svg"):
        one, other = ((tmp_path / f"{name}{suffix}").read_bytes() for name in ("a", "b"))
        assert one == other and len(one) > 5000


def test_the_card_tells_data_ranges_figures_and_how_to_use_the_weights():
    own = {
        "filters": 8, "depth": 4, "block_kji": [2, 2, 2],
        "stages": [{"shape_blocks_kji": [64, 64, 64], "epochs": 3}],
    }  # fmt: skip
    settings = {
        "folds": 2, "batch": 1, "learning_rate": 0.001, "schedule": "cosine", "mirror": False,
        "precision": "float32", "ema": 0.0, "augmentation": {"noise": 0.1, "blur": 0},
        "unet2": own,
    }  # fmt: skip
    records = [{"root_volume_mm3": volume} for volume in (12000.0, 31000.0)]
    ranges = {"slice_spacing_mm": {"low": 0.5, "high": 0.75, "scans": 2}}
    lines = config_lines("unet2", "results/w.weights.h5", "a" * 64, own, "results/ranges.yaml")
    final = {"step": 12, "loss": 0.25}
    card = model_card("unet2", settings, records, ranges, summarise(SCANS), final, lines)
    for told in (
        "| slice spacing, mm | 0.5 | 0.75 | 2 |", "12.0 to 31.0 mL",
        "64×64×64 for 3 epochs; 12 steps of 1 samples", "contrast, gamma, noise 0.1.",
        "| overall | 4 | 1 | 0.662 | 0.000 |", "begun from random weights", "loss is 0.2500",
    ):  # fmt: skip
        assert told in card
    config = yaml.safe_load(card.split("```yaml")[1].split("```")[0])
    assert config["trained_on"] == {"segment": "results/ranges.yaml"}
    assert config["segment"]["network"] == {
        "weights": "results/w.weights.h5", "sha256": "a" * 64,
        "filters": 8, "depth": 4, "block_kji": [2, 2, 2],
    }  # fmt: skip
