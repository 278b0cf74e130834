"""Pulling a worklist from a real Orthanc: what comes is what was there, and counted."""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
import pydicom
import pytest
import yaml
from calcohort.node.settings import open_node
from calcohort.node.web import WebNode
from calcohort.node.worklist import pull_worklist, read_worklist
from calcohort.outcomes import UserError
from calcohort.phantom.series import Acquisition, write_series
from calcohort.volume import Volume

ROOT = Path(__file__).parents[2]
SHAPE = (12, 16, 20)


def make_series(folder, patient, seed, modality="CT", **elements):
    """A tiny series; `elements` are put into its headers."""
    hu = np.random.default_rng(seed).integers(-1000, 1500, SHAPE).astype(np.int16)
    volume = Volume(hu, np.diag([0.5, 0.5, 1.0, 1.0]))
    made = Acquisition(modality=modality)
    paths = write_series(folder, volume, patient_id=patient, seed=seed, acquisition=made)
    for path in paths:
        header = pydicom.dcmread(path)
        for keyword, value in elements.items():
            setattr(header, keyword, value)
        header.save_as(path)
    return paths


@pytest.fixture(scope="module")
def archive(orthanc, tmp_path_factory):
    """Orthanc with two patients, one of them with two studies, and a study without CT."""
    folder = tmp_path_factory.mktemp("series")
    made = {
        "one": make_series(folder / "one", "P1", 1, AccessionNumber="A1"),
        "early": make_series(folder / "early", "P2", 2, StudyDate="20190101"),
        "late": make_series(folder / "late", "P2", 3, StudyDate="20200202"),
        "mr": make_series(folder / "mr", "P3", 4, "MR"),
    }
    node = open_node(orthanc.dimse())
    with node.opened():
        for paths in made.values():
            assert len(list(node.store(paths))) == len(paths)
    return made


def write_worklist(tmp_path, worklist):
    path = tmp_path / "worklist.tsv"
    path.write_text("\n".join("\t".join(row) for row in worklist) + "\n")
    return path


def pulled(tmp_path, settings, worklist):
    """Pull in this process; return the rows' outcomes."""
    node = open_node(settings)
    rows = read_worklist(write_worklist(tmp_path, worklist))
    with node.opened():
        return pull_worklist(node, rows, tmp_path / "pulled", print)


def pull(tmp_path, node, worklist):
    """Run the command; return exit code, output, and the rows of pulled.tsv."""
    write_worklist(tmp_path, worklist)
    (tmp_path / "study.yaml").write_text(yaml.safe_dump({"node": node}))
    command = [sys.executable, ROOT / "workflow_scripts/pull_series.py", tmp_path / "worklist.tsv"]
    more = [tmp_path / "pulled", "--configfile", tmp_path / "study.yaml"]
    done = subprocess.run([*map(str, [*command, *more])], capture_output=True, text=True, cwd=ROOT)
    table, rows = tmp_path / "pulled/pulled.tsv", []
    if table.is_file():
        with table.open() as stream:
            rows = list(csv.DictReader(stream, delimiter="\t"))
    return done.returncode, done.stdout + done.stderr, rows


WAYS = ("get", "move", "web")


def node_of(orthanc, way):
    return orthanc.web() if way == "web" else orthanc.dimse(move=way == "move")


@pytest.mark.parametrize("way", WAYS)
def test_what_is_pulled_is_what_was_stored(archive, orthanc, tmp_path, way):
    worklist = [["scan_id", "patient_id"], ["s1", "P1"]]
    code, output, rows = pull(tmp_path, node_of(orthanc, way), worklist)
    assert code == 0, output
    assert "Traceback" not in output
    assert "P1" not in output
    assert rows[0]["outcome"] == "pulled"
    assert rows[0]["images_announced"] == rows[0]["images_received"] == "12"
    pulled = {
        str(d.SOPInstanceUID): d
        for d in map(pydicom.dcmread, (tmp_path / "pulled" / rows[0]["dicom"]).rglob("*.dcm"))
    }
    for path in archive["one"]:
        stored = pydicom.dcmread(path)
        assert pulled.pop(str(stored.SOPInstanceUID)) == stored
    assert not pulled
    sheet = (tmp_path / "pulled/scans.tsv").read_text()
    assert sheet == f"scan_id\tdicom\ns1\t{rows[0]['dicom']}\n"
    modes = {p.stat().st_mode & 0o077 for p in (tmp_path / "pulled").rglob("*")}
    assert modes == {0}


@pytest.mark.parametrize("way", WAYS)
def test_every_row_has_its_outcome(archive, orthanc, tmp_path, way):
    worklist = [
        ["patient_id", "accession_number", "study_date"],
        ["P1", "A1", ""],
        ["P1", "A2", ""],
        ["P9", "", ""],
        ["p1", "", ""],
        ["P2", "", ""],
        ["P2", "", "20200202"],
        ["P3", "", ""],
    ]
    pulls = pulled(tmp_path, node_of(orthanc, way), worklist)
    assert [pull.outcome for pull in pulls] == [
        *("pulled", "not_found", "not_found", "not_found"),
        *("several_studies", "pulled", "no_ct"),
    ]
    late = pydicom.dcmread(archive["late"][0])
    assert pulls[5].dicom == late.StudyInstanceUID


@pytest.mark.parametrize("way", WAYS)
def test_an_interrupted_pull_goes_on_with_what_is_missing(archive, orthanc, tmp_path, way):
    worklist = [["accession_number"], ["A1"]]
    pulled(tmp_path, node_of(orthanc, way), worklist)
    files = sorted((tmp_path / "pulled").rglob("*.dcm"))
    for path in files[:5]:
        path.unlink()
    kept = {path: path.stat().st_mtime_ns for path in files[5:]}
    (again,) = pulled(tmp_path, node_of(orthanc, way), worklist)
    assert (again.outcome, again.images_received) == ("pulled", 12)
    assert {path: path.stat().st_mtime_ns for path in files[5:]} == kept


def test_images_that_the_archive_has_no_more_are_told(archive, orthanc, tmp_path):
    worklist = [["accession_number"], ["A1"]]
    pulled(tmp_path, orthanc.dimse(), worklist)
    some = next((tmp_path / "pulled").rglob("*.dcm"))
    some.with_name("1.2.3.dcm").write_bytes(some.read_bytes())
    (again,) = pulled(tmp_path, orthanc.dimse(), worklist)
    assert again.outcome == "changed"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ae_title": "OTHER"}, "our AE title CALCOHORT"),
        ({"port": 1}, "does not answer"),
    ],
)
def test_a_wrong_node_is_told_in_a_sentence(archive, orthanc, tmp_path, change, told):
    node = orthanc.dimse(move=True) | change
    node["our_port"] = orthanc.our_port
    code, output, _ = pull(tmp_path, node, [["patient_id"], ["P1"]])
    assert code == 2
    assert told in output
    assert "Traceback" not in output


def test_an_unknown_move_destination_is_named(archive, orthanc, tmp_path):
    node = orthanc.dimse(move=True) | {"our_ae_title": "STRANGER"}
    (asked,) = pulled(tmp_path, node, [["patient_id"], ["P1"]])
    assert (asked.outcome, asked.images_received) == ("incomplete", 0)
    assert "C-MOVE to STRANGER ended with 0x" in asked.detail


def test_a_wrong_password_is_told_in_a_sentence(archive, orthanc, tmp_path, monkeypatch):
    monkeypatch.setenv("CALCOHORT_NODE_PASSWORD", "wrong")
    code, output, _ = pull(tmp_path, orthanc.web(), [["patient_id"], ["P1"]])
    assert code == 2
    assert "refuses us (HTTP 401)" in output
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("worklist", "told"),
    [
        ([["patient"], ["P1"]], "columns patient are unknown"),
        ([["patient_id"], ["P*"]], "row 2: patient_id holds a wildcard"),
        ([["patient_id", "study_date"], ["", "20200101"]], "row 2: names no patient_id"),
        ([["scan_id", "patient_id"], ["a", "1"], ["a", "2"]], "scan_id 'a' is used twice"),
        ([["study_uid"], ["../../etc"]], "row 2: study_uid is no UID"),
    ],
)
def test_a_wrong_worklist_is_told_with_its_row(tmp_path, worklist, told):
    path = write_worklist(tmp_path, worklist)
    with pytest.raises(UserError, match=told):
        read_worklist(path)


def test_without_a_node_nothing_is_asked(tmp_path):
    code, output, _ = pull(tmp_path, {}, [["patient_id"], ["P1"]])
    assert code == 2
    assert "The config names no node" in output


@pytest.mark.parametrize("way", ("get", "move"))
def test_fewer_images_than_announced_is_incomplete(archive, orthanc, tmp_path, way):
    """Images vanish from the archive's disk, not from its index."""
    uid = str(pydicom.dcmread(archive["early"][0]).SOPInstanceUID)
    instance = orthanc.find(uid)
    content = orthanc.get(f"/instances/{instance}/file").content
    stored = [p for p in orthanc.storage.rglob("*") if p.is_file() and p.read_bytes() == content]
    hidden = [path.rename(tmp_path / f"hidden{n}") for n, path in enumerate(stored)]
    worklist = [["patient_id", "study_date"], ["P2", "20190101"]]
    (asked,) = pulled(tmp_path, node_of(orthanc, way), worklist)
    for path, place in zip(hidden, stored, strict=True):
        path.rename(place)
    assert stored
    assert (asked.outcome, asked.images_announced, asked.images_received) == ("incomplete", 12, 11)


def test_an_image_that_goes_meanwhile_is_incomplete(archive, orthanc, tmp_path):
    """An image is deleted in the archive after it was announced by DICOMweb."""
    gone = archive["early"][0]

    class Fickle(WebNode):
        def images(self, study_uid, series_uid):
            announced = super().images(study_uid, series_uid)
            orthanc.delete(orthanc.find(str(pydicom.dcmread(gone).SOPInstanceUID)))
            return announced

    node = Fickle(**orthanc.web())
    rows = [{"row": "2", "patient_id": "P2", "study_date": "20190101"}]
    with node.opened():
        (pull,) = pull_worklist(node, rows, tmp_path, print)
        assert list(node.store([gone])) == [gone]
    assert (pull.outcome, pull.images_announced, pull.images_received) == ("incomplete", 12, 11)
    assert "HTTP 404" in pull.detail


def test_an_archive_that_is_down_is_no_node(archive, orthanc):
    node = open_node(orthanc.dimse())
    orthanc.stop()
    with pytest.raises(UserError, match="does not answer"), node.opened():
        pass
    orthanc.start()
    with node.opened():
        assert len(node.studies({"PatientID": "P1"})) == 1
