"""The commands beside snakemake: what they tell, and their exit codes."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def call(folder, script, *arguments):
    command = [sys.executable, ROOT / "workflow_scripts" / script, *arguments]
    return subprocess.run([*map(str, command)], cwd=folder, capture_output=True, text=True)


@pytest.fixture
def config(tmp_path):
    """A study of three scans: one measured, one failed, one not begun."""
    (tmp_path / "scans.tsv").write_text("scan_id\tdicom\na\ta.zip\nb\tb.zip\nc\tc.zip\n")
    for scan_id, status in (("a", "ok"), ("b", "failed")):
        folder = tmp_path / "results/scans" / scan_id
        folder.mkdir(parents=True)
        record = {"status": status, "stage": "convert", "detail": "ValueError: odd"}
        (folder / "calcium.json").write_text(json.dumps(record))
    path = tmp_path / "study.yaml"
    study = {"sheet": str(tmp_path / "scans.tsv"), "results": str(tmp_path / "results")}
    path.write_text(yaml.safe_dump(study))
    return path


def test_a_mistake_in_the_set_up_is_exit_2_a_status_line_and_the_failure_command(config):
    config.write_text(yaml.safe_dump(yaml.safe_load(config.read_text()) | {"sheet": "none.tsv"}))
    folder = config.parent
    done = call(folder, "run_cohort.py", "--configfile", config, "--on-failure", "cat > told.txt")
    assert done.returncode == 2
    assert "The sheet none.tsv does not exist" in done.stdout
    assert done.stderr == ""
    assert (folder / "told.txt").read_text() == done.stdout
    assert (folder / "logs/cohort/status.txt").read_text() == done.stdout


def test_the_forecast_counts_scans_and_says_what_it_does_not_know(config):
    done = call(config.parent, "forecast.py", "--configfile", config)
    assert done.returncode == 0, done.stderr
    told = dict(line.split(maxsplit=1) for line in done.stdout.splitlines())
    assert told["measured"] == "1"
    assert told["waiting"] == "1"
    assert told["all"] == "3"
    assert told["finish"].startswith("unknown: only 2 scans")
    assert told["GPU"] == "hours unknown: no GPU has worked"
    assert "b: convert: ValueError: odd" in done.stdout


def test_without_a_trace_there_is_no_picture(config):
    done = call(config.parent, "draw_trace.py", "results", "gantt.png")
    assert done.returncode == 1
    assert done.stderr.startswith("draw_trace: There is no trace")
    assert not (config.parent / "gantt.png").exists()


def test_without_a_gallery_there_is_nothing_to_review(config):
    done = call(config.parent, "review_gallery.py", "--configfile", config)
    assert done.returncode == 1
    assert done.stderr.startswith("review_gallery: ") and "has no gallery.html yet" in done.stderr
