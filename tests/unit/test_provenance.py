"""Provenance: complete, reproducible, and free of the machine's names."""

import json
import platform
from pathlib import Path

import pytest
from calcohort import __version__
from calcohort.provenance import collect
from calcohort.study import ROOT, settings_hash
from calcohort.versions import STAGE_VERSIONS

CONFIG = {
    "sheet": "/home/someone/study/scans.tsv",
    "results": "/home/someone/results",
    "pseudonym_key_file": "/home/someone/key",
    "device": "cpu",
    "batch_size": 16,
    "resample": {"spacing_mm": None},
    "downscale": {"factor_kji": [1, 2, 2]},
    "localise": {"network": {"weights": "/home/someone/unet1.h5", "sha256": "ab" * 32}},
    "trained_on": {"localise": "/home/someone/ranges.yaml"},
    "crop": {"shape_kji": [224, 256, 256]},
    "measure": {
        "k": 0.35,
        "min_luminance_hu": 180.0,
        "mask_rule": "F7",
        "cube_sides_mm": [9, 8, 8],
    },
}
WEIGHTS = {
    "segment": {"path": "/home/someone/unet2.h5", "sha256": "cd" * 32},
    "localise": {"path": "/home/someone/unet1.h5", "sha256": "ab" * 32},
}


def gathered(config=CONFIG, weights=WEIGHTS):
    return collect(config, weights, STAGE_VERSIONS, "CPU, 2 cores")


def test_no_host_name_and_no_path_leaks():
    text = json.dumps(gathered())
    assert "/home/" not in text and str(ROOT) not in text
    assert "someone" not in text
    assert platform.node() not in text or len(platform.node()) < 4


def test_only_the_time_differs_between_two_runs():
    first, second = gathered(), gathered()
    assert first.pop("time_utc").endswith("+00:00")
    second.pop("time_utc")
    assert first == second


def test_versions_and_hashes_are_there():
    found = gathered()
    assert found["code_version"] == __version__
    assert found["packages"]["numpy"] and found["packages"]["dcm2niix"]
    assert found["config_hash"] == settings_hash(CONFIG)
    assert found["weights"]["segment"] == {"file": "unet2.h5", "sha256": "cd" * 32}
    assert found["stage_versions"] == STAGE_VERSIONS
    assert found["settings"]["measure"] == CONFIG["measure"]


def test_config_hash_follows_what_decides_numbers():
    changed = CONFIG | {"measure": CONFIG["measure"] | {"k": 0.2}}
    assert gathered(changed)["config_hash"] != gathered()["config_hash"]
    moved = CONFIG | {"results": "elsewhere"}
    assert gathered(moved)["config_hash"] == gathered()["config_hash"]


@pytest.mark.parametrize(
    ("path", "default"),
    [
        ("models/unet1.weights.h5", True),
        (str(Path(ROOT, "models", "unet1.weights.h5")), True),
        ("mine/unet1.weights.h5", False),
        ("/models/unet1.weights.h5", False),
    ],
)
def test_weights_of_the_models_folder_are_the_default(path, default):
    weights = {"localise": {"path": path, "sha256": "ab" * 32}}
    assert gathered(weights=weights)["default_weights"] is default
