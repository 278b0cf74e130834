"""Seals hold the records of a batch; a deleted scan breaks those of its batch only."""

import shutil

import pytest
from calcohort.seal import entry, forget_deleted, read_seals, write_seal


@pytest.fixture
def study(tmp_path):
    batches = {"batch-00001": ["a", "b"], "batch-00002": ["c"]}
    for batch, members in batches.items():
        for scan_id in members:
            (tmp_path / "scans" / scan_id).mkdir(parents=True)
        for stage in ("convert", "measure"):
            entries = {s: entry({"scan_id": s, "stage": stage}, []) for s in members}
            write_seal(tmp_path / "batches" / batch / f"{stage}.json", entries)
    return tmp_path, batches


def seals(folder):
    batches = folder / "batches"
    return sorted(str(path.relative_to(batches)) for path in batches.rglob("*.json"))


def test_the_records_of_some_seals_come_back(study):
    folder, batches = study
    found = read_seals(folder / "batches" / batch / "measure.json" for batch in batches)
    assert list(found) == [{"scan_id": s, "stage": "measure"} for s in "abc"]


def test_a_deleted_scan_breaks_the_seals_of_its_batch(study):
    folder, batches = study
    (folder / "cohort").mkdir()
    (folder / "cohort/provenance.json").touch()
    forget_deleted(folder, batches)
    assert len(seals(folder)) == 4
    assert (folder / "cohort/provenance.json").exists()
    shutil.rmtree(folder / "scans/b")
    forget_deleted(folder, batches)
    assert seals(folder) == ["batch-00002/convert.json", "batch-00002/measure.json"]
    assert not (folder / "cohort/provenance.json").exists()


def test_before_the_first_run_there_is_nothing_to_forget(tmp_path):
    forget_deleted(tmp_path / "results", {"batch-00001": ["a"]})
    assert not (tmp_path / "results").exists()
