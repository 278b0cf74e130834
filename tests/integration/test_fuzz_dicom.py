"""Mutated DICOM through the whole conversion: outcomes, or what SimpleITK reads; no crash."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CASES = 300


@pytest.mark.slow
def test_no_mutation_crashes_or_converts_wrongly(tmp_path):
    command = [sys.executable, "benchmarks/fuzz_dicom.py", tmp_path / "fuzz", str(CASES), "7"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, (tmp_path / "fuzz" / "failures.txt").read_text() or done.stderr
    with (tmp_path / "fuzz" / "outcomes.csv").open(newline="") as stream:
        rows = [*csv.DictReader(stream)]
    assert sum(int(row["cases"]) for row in rows) == CASES
    converted = sum(int(row["cases"]) for row in rows if row["outcome"] == "converted")
    assert CASES / 10 < converted < CASES / 2, "the mutations are too harsh or too mild"
