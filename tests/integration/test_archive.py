"""From an archive to the plan and to converted scans, as a data manager runs it."""

import csv
import re
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
import yaml
from calcohort.phantom.series import write_series
from calcohort.volume import Volume, read
from running import ROOT, alone_with_the_wrapper, run

SHAPE = (40, 32, 32)
AFFINE = np.diag([0.8, 0.8, 2.0, 1.0])


def write_study(folder, patient, seed):
    """A body in air, with noise of its own, as a DICOM series."""
    hu = np.full(SHAPE, -1000, np.int16)
    noise = np.random.default_rng(seed).integers(0, 60, (40, 20, 20))
    hu[:, 6:26, 6:26] = noise
    write_series(folder, Volume(hu, AFFINE), patient_id=patient, seed=seed)
    return hu


@pytest.fixture
def study(tmp_path):
    """Three studies (a folder, a zip, a tar.gz) among junk, and the config."""
    archive = tmp_path / "archive"
    hu = {1: write_study(archive / "DOE^JANE" / "CT", "MRN1", 1)}
    for seed in (2, 3):
        hu[seed] = write_study(tmp_path / f"{seed}", f"MRN{seed}", seed)
    with zipfile.ZipFile(archive / "two.zip", "w") as packed:
        for file in (tmp_path / "2").iterdir():
            packed.write(file, f"DICOM/{file.name}")
    with tarfile.open(archive / "three.tar.gz", "w:gz") as packed:
        packed.add(tmp_path / "3", "DICOM")
    (archive / "DOE^JANE" / "letter.pdf").write_bytes(b"%PDF-1.4")
    config = tmp_path / "study.yaml"
    settings = {
        "sheet": None,
        "dicom_root": str(archive),
        "private": str(tmp_path / "private"),
        "results": str(tmp_path / "results"),
        "pseudonym_key_file": str(tmp_path / "key"),
        "settle_minutes": 0,
    }
    config.write_text(yaml.safe_dump(settings))
    return config, archive, hu


def index(config):
    script = ROOT / "workflow_scripts/index_series.py"
    done = subprocess.run(
        [sys.executable, script, "--configfile", config, "--processes", "1"],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    return done.returncode, done.stdout + done.stderr


def planned(output):
    return dict(re.findall(r"^(\w+) +(\d+)$", output, re.MULTILINE))


@pytest.mark.slow
def test_an_archive_becomes_scans_and_a_new_study_one_more(study):
    config, archive, hu = study
    results = config.parent / "results"
    code, output = run(config, "-n")
    assert code != 0
    assert "run `python workflow_scripts/index_series.py` first" in output

    told = "3 series, 3 of them candidates; 120 images, 43 files or archives opened"
    assert index(config) == (0, f"3 new scans of 3; {told}\n")
    code, output = run(config, "-n")
    assert code == 0, output
    assert planned(output)["convert_batch"] == "1"
    with (config.parent / "private/scans.tsv").open() as stream:
        scan_ids = [row["scan_id"] for row in csv.DictReader(stream, delimiter="\t")]
    code, output = run(config, str(results / "batches/batch-00001/convert.json"))
    assert code == 0, output
    arrays = [read(results / "scans" / scan_id / "ct.nii.gz").array for scan_id in scan_ids]
    for expected in hu.values():
        assert sum(np.array_equal(array, expected) for array in arrays) == 1
    for path in results.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(secret in content for secret in (b"MRN1", b"DOE^", bytes(archive)))

    write_study(archive / "DOE^JANE" / "CT2", "MRN4", 4)
    code, output = index(config)
    assert (code, output.split(";")[0]) == (0, "1 new scans of 4")
    assert "40 files or archives opened" in output
    code, output = run(config, "-n")
    assert code == 0, output
    assert planned(output)["convert_batch"] == "1"


@pytest.mark.slow
def test_the_cron_wrapper_indexes_first_and_tells_the_new_scans(study, tmp_path):
    config, archive, _ = study
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text("cores: 1\ndry-run: true\n")
    script = ROOT / "workflow_scripts/run_cohort.py"
    command = [sys.executable, script, "--configfile", config, "--profile", profile]
    command += ["--logs", tmp_path / "logs"]
    with alone_with_the_wrapper():
        done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "waiting 3" in done.stdout
    assert "3 new scans of 3" in done.stdout
    (log,) = (tmp_path / "logs").glob("*Z.log")
    assert planned(log.read_text())["convert_batch"] == "1"
    assert (tmp_path / "logs/status.txt").read_text() == done.stdout
    for path in archive.rglob("*"):
        path.unlink() if path.is_file() else None
    (archive / "two.zip").mkdir()
    config.write_text(config.read_text().replace(str(archive), str(archive / "two.zip")))
    done = subprocess.run([*map(str, command)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 2
    assert "is the disk mounted?" in done.stdout
