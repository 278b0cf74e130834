"""Trouble of the set-up and the machine: one clear sentence, and nothing is lost."""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest
import yaml
from cohort_of_boxes import make_study
from running import run, tables_of

NO_ROOT = "the mount of a small file system needs root rights"


def without_masks(config):
    """Let the networks find the roots of the first two scans."""
    sheet = Path(yaml.safe_load(config.read_text())["sheet"])
    lines = [line.split("\t") for line in sheet.read_text().splitlines()[:3]]
    sheet.write_text("\n".join("\t".join([*cells[:2], *cells[3:]]) for cells in lines) + "\n")


def log_of(folder, rule):
    return "\n".join(path.read_text() for path in (folder / "results/logs" / rule).glob("*.log"))


def test_weights_with_a_wrong_hash_stop_the_networks_with_a_sentence(tmp_path):
    wrong = {"localise": {"network": {"sha256": "0" * 64}}, "trained_on": {"localise": None}}
    config = make_study(tmp_path, **wrong)
    without_masks(config)
    assert run(config)[0] != 0
    log = log_of(tmp_path, "localise_batch")
    assert "SHA-256" in log
    assert "Traceback" not in log
    assert not (tmp_path / "results/cohort/calcium.csv").exists()


@contextlib.contextmanager
def small_disk(folder, size):
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], capture_output=True
    )
    if mounted.returncode:
        pytest.skip(NO_ROOT)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason=NO_ROOT)
def test_a_full_disk_loses_nothing(tmp_path):
    (tmp_path / "undisturbed").mkdir()
    undisturbed = make_study(tmp_path / "undisturbed")
    assert run(undisturbed)[0] == 0
    (tmp_path / "full").mkdir()
    config = make_study(tmp_path / "full")
    results = tmp_path / "full/results"
    with small_disk(results, "300k"):
        code, output = run(config)
        assert code != 0
        assert "No space left" in output
        subprocess.run(["mount", "-o", "remount,size=200m", results], check=True)
        code, output = run(config)
        assert code == 0, output
        assert tables_of(results) == tables_of(tmp_path / "undisturbed/results")
