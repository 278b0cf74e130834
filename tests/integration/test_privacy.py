"""No identifier of the input anywhere in the results or the logs: every byte is searched."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml
from cohort_of_boxes import write_mask
from identifiers import FOLDER, IDENTIFIERS, PLAIN, UID_ROOT, found_in, write_identified
from running import ROOT, alone_with_the_wrapper, run

STATUS = {
    "folder": "measured",
    "zip": "measured",
    "cut": "excluded",
    "bad-zip": "excluded",
    "absent": "excluded",
    "odd-zip": "excluded",
    "no-pair": "failed",
}


def make_cohort(folder: Path) -> Path:
    """One scan of each fate, of patients whose names are in headers, paths and zips."""
    source = folder / "archive" / FOLDER
    root = source / f"{PLAIN} root.nii.gz"
    source.mkdir(parents=True)
    write_mask(root)
    write_identified(source / "folder", "folder", 500)
    for name in ("cut", "zip"):
        shutil.copytree(source / "folder", source / name)
    cut = source / "cut" / f"{PLAIN}_0007.dcm"
    cut.write_bytes(cut.read_bytes()[:6000])
    with zipfile.ZipFile(source / f"{PLAIN}.zip", "w") as archive:
        for path in (source / "zip").iterdir():
            archive.write(path, f"{FOLDER}/{path.name}")
    shutil.rmtree(source / "zip")
    damaged = bytearray((source / f"{PLAIN}.zip").read_bytes())
    damaged[9000] ^= 0xFF
    (source / f"{PLAIN} 2.zip").write_bytes(damaged)
    with zipfile.ZipFile(source / f"{PLAIN} 3.zip", "w") as archive:
        archive.writestr(FOLDER, b"a file where a folder is to be")
        archive.writestr(f"{FOLDER}/{PLAIN}.dcm", b"")
    pair = nib.Nifti1Pair(np.zeros((2, 2, 2), np.uint8), np.eye(4))
    nib.save(pair, source / f"{PLAIN}.hdr")
    (source / f"{PLAIN}.img").unlink()
    rows = [
        ("folder", "folder", root.name, root.name),
        ("zip", f"{PLAIN}.zip", root.name, f"{PLAIN} nowhere.nii.gz"),
        ("cut", "cut", root.name, ""),
        ("bad-zip", f"{PLAIN} 2.zip", root.name, ""),
        ("absent", f"{PLAIN} 4", root.name, ""),
        ("odd-zip", f"{PLAIN} 3.zip", root.name, ""),
        ("no-pair", "folder", f"{PLAIN}.hdr", ""),
    ]
    header = "scan_id\tdicom\troot_mask\treference_root_mask\tage"
    lines = [
        "\t".join([scan_id, *(f"archive/{FOLDER}/{p}" if p else "" for p in paths), "93"])
        for scan_id, *paths in rows
    ]
    (folder / "scans.tsv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    config = folder / "study.yaml"
    settings = {
        "sheet": str(folder / "scans.tsv"),
        "results": str(folder / "results"),
        "private": str(folder / "private"),
        "pseudonym_key_file": str(folder / "key"),
        "convert": {"min_coverage_mm": 30},
        "dates": "shift",
        "link_table": True,
    }
    config.write_text(yaml.safe_dump(settings), encoding="utf-8")
    return config


def command(folder: Path, script: str, *arguments) -> subprocess.CompletedProcess:
    call = [sys.executable, ROOT / "workflow_scripts" / script, *arguments]
    call += ["--configfile", folder / "study.yaml"]
    return subprocess.run([*map(str, call)], cwd=ROOT, capture_output=True, text=True)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The cohort's folder after an export and a run by the cron wrapper, whose log is in `logs`."""
    folder = tmp_path_factory.mktemp("named")
    make_cohort(folder)
    (folder / "profile").mkdir()
    (folder / "profile/config.yaml").write_text("cores: 2\n")
    options = ["--profile", folder / "profile", "--logs", folder / "logs"]
    with alone_with_the_wrapper():
        done = command(folder, "run_cohort.py", *options)
    assert done.returncode == 0, done.stdout + done.stderr
    exported = command(folder, "export_deidentified.py", folder / "results/export")
    (folder / "logs/terminal.txt").write_text(
        "".join([done.stdout, done.stderr, exported.stdout, exported.stderr]), encoding="utf-8"
    )
    return folder


def test_every_fate_of_a_scan_is_there(study):
    scans = pd.read_csv(study / "results/cohort/scans.csv", index_col="scan_id")
    assert scans["status"].to_dict() == STATUS
    assert scans.loc[["odd-zip", "no-pair"], "reason"].tolist() == ["unreadable", "crashed"]
    assert (study / "results/cohort/report.html").stat().st_size > 10_000
    assert len(list((study / "results/export/folder").iterdir())) == 64


def test_no_identifier_in_any_byte_of_results_and_logs(study):
    assert found_in(study / "results") == {}
    assert found_in(study / "logs") == {}


def test_the_search_finds_what_is_there(study):
    known = set().union(*found_in(study / "archive").values())
    assert known == set(IDENTIFIERS) - {"1931-02-13", "2019-05-17"}
    assert UID_ROOT in found_in(study / "private")["link_table.csv"]


def test_what_the_results_keep_silent_is_in_the_private_logs(study):
    hits = found_in(study / "private/logs")
    assert {"convert_batch/batch-00001.log", "place_root/batch-00001.log"} <= hits.keys()
    assert all((study / "private/logs" / path).stat().st_mode & 0o077 == 0 for path in hits)
    told = (study / "results/logs/place_root/batch-00001.log").read_text()
    assert "FileNotFoundError" in told


def test_the_log_of_the_run_names_scans_in_the_place_of_paths(study):
    log = next((study / "logs").glob("*.log")).read_text()
    assert "Convert batch-00001" in log
    assert os.fspath(study / "archive") not in log


def test_dates_ages_and_links_are_as_the_config_says(study):
    scans = pd.read_csv(study / "results/cohort/scans.csv", index_col="scan_id")
    dates = scans["acquisition_date"].dropna()
    assert len(set(dates)) == 1
    assert (dates < "2019-05-17").all()
    assert (scans["age"] == 90).all()
    assert scans.loc["folder", "age_years"] == 88
    links = pd.read_csv(study / "private/link_table.csv", index_col="scan_id")
    assert list(links.index) == ["folder", "zip", "no-pair"]
    assert (links["PatientID"] == "MRN-Q7X4-990017").all()


def test_a_second_run_with_another_key_is_refused_in_one_sentence(study, monkeypatch):
    monkeypatch.setenv("CALCOHORT_KEY", "another key of 32 characters or more")
    code, output = run(study / "study.yaml")
    assert code != 0
    assert "The pseudonym key is not the one that" in output
    assert "Traceback" not in output
