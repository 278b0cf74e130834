"""From the archive and back: pull by worklist, run, hand back, store, ask the archive again."""

import csv
import fcntl
import io
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest
import yaml
from calcohort import volume
from calcohort.node.settings import open_node
from calcohort.outcomes import read_record
from calcohort.phantom.series import write_series
from cohort_of_boxes import AFFINE, write_mask, write_scan
from highdicom.sr import srread
from running import ROOT, run
from scipy.spatial.transform import Rotation

pytestmark = pytest.mark.slow
TURNED = np.eye(4)
TURNED[:3, :3] = Rotation.from_euler("xyz", (20, 10, -15), degrees=True).as_matrix()
SCANS = {"upright": (500, "large", AFFINE), "turned": (600, "small", TURNED @ AFFINE)}
SEGS = ("seg_root.dcm", "seg_calcium.dcm")
NATIVE = {"native": (45, None, AFFINE)}


def command(name, *arguments):
    """Run a command of the house as a user does."""
    script = [sys.executable, ROOT / f"workflow_scripts/{name}.py"]
    done = subprocess.run(
        [*map(str, [*script, *arguments])], capture_output=True, text=True, cwd=ROOT
    )
    output = done.stdout + done.stderr
    assert "Traceback" not in output, output
    assert "PATIENT" not in output, output
    return done.returncode, output


@pytest.fixture(scope="module")
def study(orthanc, tmp_path_factory):
    """A cohort that was stored, pulled by worklist, and run; its config file."""
    folder = tmp_path_factory.mktemp("study")
    write_mask(folder / "mask.nii.gz")
    mask = volume.read(folder / "mask.nii.gz")
    node = open_node(orthanc.dimse())
    for seed, (name, (lumen, deposit, affine)) in enumerate((SCANS | NATIVE).items()):
        write_scan(folder / "box.nii.gz", lumen, deposit)
        box = volume.read(folder / "box.nii.gz")
        patient = f"{name.upper()}^PATIENT"
        made = volume.Volume(box.array, affine)
        paths = write_series(folder / "made" / name, made, patient_id=patient, seed=seed)
        assert len(list(node.store(paths))) == 64
        volume.write(folder / f"{name}_root.nii.gz", volume.Volume(mask.array, affine))
    config = folder / "study.yaml"
    settings = {
        "sheet": str(folder / "scans.tsv"),
        "results": str(folder / "results"),
        "private": str(folder / "private"),
        "pseudonym_key_file": str(folder / "key"),
        "convert": {"min_coverage_mm": 30},
        "node": orthanc.dimse(move=True),
    }
    config.write_text(yaml.safe_dump(settings))
    names = list(SCANS | NATIVE)
    lines = ["scan_id\tpatient_id", *(f"{name}\t{name.upper()}^PATIENT" for name in names)]
    (folder / "worklist.tsv").write_text("\n".join(lines) + "\n")
    pulled = folder / "pulled"
    code, output = command("pull_series", folder / "worklist.tsv", pulled, "--configfile", config)
    assert code == 0, output
    with (pulled / "scans.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    lines = ["scan_id\tdicom\troot_mask"]
    lines += [f"{r['scan_id']}\tpulled/{r['dicom']}\t{r['scan_id']}_root.nii.gz" for r in rows]
    (folder / "scans.tsv").write_text("\n".join(lines) + "\n")
    code, output = run(config, folder / "results/cohort/scans.csv")
    assert code == 0, output
    return config


@pytest.fixture(scope="module")
def handed_back(study, orthanc):
    """The study handed back and stored by C-STORE; the folder of the objects."""
    code, output = command("hand_back", "--configfile", study, "--store")
    assert code == 0, output
    assert "written 2, not_measured 1" in output
    assert "6 objects stored" in output
    return study.parent / "private/handback"


def in_archive(orthanc, modality):
    """The archive's objects of a modality, by their SOP Instance UID."""
    contents = [
        orthanc.get(f"/instances/{one}/file").content for one in orthanc.instances(modality)
    ]
    objects = [pydicom.dcmread(io.BytesIO(content)) for content in contents]
    return {str(one.SOPInstanceUID): one for one in objects}


def assert_archive_holds(orthanc, folder):
    for modality, names in (("SEG", SEGS), ("SR", ("sr.dcm",))):
        stored = in_archive(orthanc, modality)
        assert len(stored) == len(SCANS) * len(names)
        for scan in SCANS:
            for name in names:
                ours = pydicom.dcmread(folder / scan / name)
                assert stored[str(ours.SOPInstanceUID)] == ours


def test_the_archive_holds_what_was_written(handed_back, orthanc):
    assert_archive_holds(orthanc, handed_back)


def test_the_report_of_the_archive_holds_the_measured_volumes(handed_back, study, orthanc):
    stored = in_archive(orthanc, "SR")
    for scan in SCANS:
        uid = pydicom.dcmread(handed_back / scan / "sr.dcm").SOPInstanceUID
        content = io.BytesIO()
        stored[str(uid)].save_as(content)
        content.seek(0)
        record = read_record(study.parent / f"results/scans/{scan}/calcium.json")
        wanted = {
            r["rule"]: pytest.approx(r["calcium_volume_mm3"], rel=1e-6) for r in record["rules"]
        }
        report = srread(content).content
        groups = report.get_volumetric_roi_measurement_groups()[1:]
        groups += report.get_image_measurement_groups()
        found = {
            group.tracking_identifier.split(", ")[1]: float(group.get_measurements()[0].value)
            for group in groups
        }
        assert found == wanted


def test_masks_of_the_archive_lie_on_the_pulled_images(handed_back, study, orthanc):
    """By SOP Instance UID and pixel, with the CT that an independent reader takes from the files.

    The deposits are the only voxels of 1200 HU, so calcium must be drawn just on them.
    """
    images = {
        str(header.SOPInstanceUID): path
        for path in (study.parent / "pulled").rglob("*.dcm")
        for header in [pydicom.dcmread(path, specific_tags=["SOPInstanceUID"])]
    }
    voxels = {"upright": 10 * 12 * 6, "turned": 5 * 5 * 4}
    for scan, expected in voxels.items():
        seg = pydicom.dcmread(handed_back / scan / "seg_calcium.dcm")
        drawn = 0
        for frame, groups in zip(
            seg.pixel_array, seg.PerFrameFunctionalGroupsSequence, strict=True
        ):
            source = groups.DerivationImageSequence[0].SourceImageSequence[0]
            image = pydicom.dcmread(images[source.ReferencedSOPInstanceUID])
            hu = image.pixel_array * image.RescaleSlope + image.RescaleIntercept
            np.testing.assert_array_equal(frame.astype(bool), hu == 1200)
            drawn += int(frame.sum())
        assert drawn == expected


def test_nothing_is_stored_twice(handed_back, study, orthanc):
    code, output = command("hand_back", "--configfile", study, "--store")
    assert code == 0, output
    assert "unchanged 2" in output
    assert "0 objects stored" in output
    assert len(in_archive(orthanc, "SEG")) == len(SCANS) * len(SEGS)


def test_stow_stores_the_same_objects(handed_back, study, orthanc):
    for modality in ("SEG", "SR"):
        for instance in orthanc.instances(modality):
            orthanc.delete(instance)
    assert not in_archive(orthanc, "SEG")
    web = study.with_name("web.yaml")
    web.write_text(yaml.safe_dump(yaml.safe_load(study.read_text()) | {"node": orthanc.web()}))
    code, output = command("hand_back", "--configfile", web, "--store")
    assert code == 0, output
    assert "6 objects stored" in output
    assert_archive_holds(orthanc, handed_back)


def test_what_names_patients_is_for_the_owner_alone(handed_back, study):
    paths = [handed_back.parent, *handed_back.parent.rglob("*")]
    assert {path.stat().st_mode & 0o077 for path in paths} == {0}
    for path in (study.parent / "results").rglob("*"):
        assert not path.name.endswith(".dcm")


def test_who_was_not_measured_is_in_the_table_only(handed_back):
    with (handed_back / "handback.tsv").open() as stream:
        rows = {r["scan_id"]: r for r in csv.DictReader(stream, delimiter="\t")}
    assert rows["native"] == {
        "scan_id": "native",
        "outcome": "not_measured",
        "detail": "no_contrast",
    }
    assert not list((handed_back / "native").glob("*.dcm"))


@pytest.mark.parametrize("name", [*SEGS, "sr.dcm"])
def test_validators_find_no_error(handed_back, name):
    """David Clunie's dciodvfy, and for the report dcmtk's check of the template's relationships."""
    for scan in SCANS:
        path = handed_back / scan / name
        checked = subprocess.run(["dciodvfy", path], capture_output=True, text=True)
        assert checked.returncode == 0
        assert "Error" not in checked.stdout + checked.stderr
        if name == "sr.dcm":
            dumped = subprocess.run(["dsrdump", path], capture_output=True, text=True)
            assert dumped.returncode == 0, dumped.stderr
            assert "Imaging Measurement Report" in dumped.stdout


def test_slicers_library_reads_both(handed_back, study, tmp_path):
    """dcmqi, the library by which 3D Slicer loads SEG and TID 1500."""
    tools = Path(sys.executable).parent
    for scan in SCANS:
        seg, sr = handed_back / scan / "seg_root.dcm", handed_back / scan / "sr.dcm"
        folder = tmp_path / scan
        folder.mkdir()
        for tool, *arguments in (
            ("segimage2itkimage", "--inputDICOM", seg, "-t", "nii", "--outputDirectory", folder),
            ("tid1500reader", "--inputDICOM", sr, "--outputMetadata", folder / "sr.json"),
        ):
            done = subprocess.run(
                [*map(str, [tools / tool, *arguments])], capture_output=True, text=True
            )
            assert done.returncode == 0, done.stdout + done.stderr
        read = nib.load(folder / "1.nii.gz")
        mask = nib.load(study.parent / f"{scan}_root.nii.gz")
        ours, theirs = (
            nib.affines.apply_affine(image.affine, np.argwhere(np.asarray(image.dataobj))).mean(0)
            for image in (mask, read)
        )
        np.testing.assert_allclose(theirs, ours, atol=0.01)
        assert "Measurements" in (folder / "sr.json").read_text()


def test_a_scan_that_is_not_in_the_sheet_is_named(study):
    code, output = command("hand_back", "--configfile", study, "--scans", "nobody")
    assert code == 2
    assert "nobody are not in the sheet" in output


def test_results_that_a_run_is_changing_are_left_alone(study):
    with (study.parent / "results/.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, output = command("hand_back", "--configfile", study)
    assert code == 2
    assert "another run is at work" in output
