"""Handing results back: masks lie where they were, by readers that share no code with us."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pydicom
import pytest
from calcohort import volume
from calcohort.outcomes import read_record, write_record
from calcohort.report.picture import CALCIUM_COLOUR, ROOT_COLOUR
from dicom_factory import KEY, NAME, PATIENT, along_normal, write_series
from handback_factory import SLICES, hand_back, hand_back_scan, write_results, write_source
from handback_readers import near, points_of_nifti, points_of_seg
from highdicom.color import CIELabColor
from highdicom.seg import segread
from highdicom.sr import srread
from PIL import ImageColor
from scipy.spatial.transform import Rotation

OBLIQUE = Rotation.from_euler("xyz", (25, -15, 40), degrees=True).as_matrix()
ORIENTATIONS = {
    "supine, head first": ((1, 0, 0, 0, 1, 0), 2.0),
    "slices from head to foot": ((1, 0, 0, 0, 1, 0), -2.0),
    "prone": ((-1, 0, 0, 0, -1, 0), 2.0),
    "feet first": ((-1, 0, 0, 0, 1, 0), 2.0),
    "lying on the right side": ((0, 1, 0, -1, 0, 0), 2.0),
    "coronal": ((1, 0, 0, 0, 0, -1), 2.0),
    "oblique": (tuple(OBLIQUE[:, :2].T.ravel()), 2.0),
    "oblique, slices reversed": (tuple(OBLIQUE[:, :2].T.ravel()), -2.0),
}
TOOLS = Path(sys.executable).parent
SEGS = ("seg_root.dcm", "seg_calcium.dcm")


@pytest.fixture(scope="module")
def scan_to_copy(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scan")
    made(folder)
    return folder


@pytest.fixture
def scan(scan_to_copy, tmp_path):
    """Source, results and folder of one scan, handed back."""
    shutil.copytree(scan_to_copy, tmp_path, dirs_exist_ok=True)
    return tmp_path / "dicom", tmp_path / "results", tmp_path / "out"


def made(folder, **source):
    dicom, results, out = folder / "dicom", folder / "results", folder / "out"
    write_source(dicom, **source)
    write_results(dicom, results)
    assert hand_back(dicom, results, out).outcome == "written"
    return dicom, results, out


@pytest.mark.parametrize("name", ORIENTATIONS)
def test_masks_come_back_where_they_were(tmp_path, name):
    iop, step_mm = ORIENTATIONS[name]
    _, results, out = made(tmp_path, iop=iop, step_mm=step_mm)
    for kind in ("root", "calcium"):
        seg, folder = out / f"seg_{kind}.dcm", tmp_path / kind
        folder.mkdir()
        command = [TOOLS / "segimage2itkimage", "--inputDICOM", seg, "-t", "nii"]
        read = subprocess.run(
            [*map(str, [*command, "--outputDirectory", folder])], capture_output=True, text=True
        )
        assert read.returncode == 0, read.stdout + read.stderr
        wanted = points_of_nifti(results / f"{kind}_mask.nii.gz")
        assert wanted
        assert near(wanted, points_of_seg(seg))
        assert near(wanted, points_of_nifti(folder / "1.nii.gz"))


def test_each_frame_names_the_image_it_lies_on(scan):
    dicom, _, out = scan
    places = {
        str(header.SOPInstanceUID): list(header.ImagePositionPatient)
        for header in map(pydicom.dcmread, dicom.iterdir())
    }
    for name in SEGS:
        seg = pydicom.dcmread(out / name)
        for groups in seg.PerFrameFunctionalGroupsSequence:
            source = groups.DerivationImageSequence[0].SourceImageSequence[0]
            position = groups.PlanePositionSequence[0].ImagePositionPatient
            assert list(position) == places[source.ReferencedSOPInstanceUID]


def test_segments_are_coded_and_belong_to_the_patient_and_study(scan):
    dicom, _, out = scan
    header = pydicom.dcmread(next(dicom.iterdir()))
    segs = [segread(out / name) for name in SEGS]
    for made_object in (*segs, srread(out / "sr.dcm")):
        assert (made_object.PatientID, made_object.PatientName) == (PATIENT, NAME)
        assert made_object.StudyInstanceUID == header.StudyInstanceUID
        assert made_object.SeriesInstanceUID != header.SeriesInstanceUID
    for seg in segs:
        assert seg.FrameOfReferenceUID == header.FrameOfReferenceUID
        assert seg.number_of_segments == 1
    root, calcium = (seg.get_segment_description(1) for seg in segs)
    assert (root.segmented_property_type.value, root.algorithm_type.value) == (
        "8128003",
        "AUTOMATIC",
    )
    assert calcium.segmented_property_type.value == "18115005"
    assert calcium.anatomic_regions[0].value == "8128003"


def test_segments_have_the_colours_of_the_qc_picture(scan):
    _, _, out = scan
    for name, colour in zip(SEGS, (ROOT_COLOUR, CALCIUM_COLOUR), strict=True):
        description = segread(out / name).get_segment_description(1)
        lab = description.RecommendedDisplayCIELabValue
        assert CIELabColor.from_dicom_value(lab).to_rgb() == ImageColor.getrgb(colour)


def values_of(group):
    """Concept code to value of a measurement group."""
    return {m.name.value: (float(m.value), m.unit.value) for m in group.get_measurements()}


def test_the_report_holds_every_number(scan):
    _, results, out = scan
    calcium = read_record(results / "calcium.json")
    report = srread(out / "sr.dcm").content
    root, main = report.get_volumetric_roi_measurement_groups()
    others = report.get_image_measurement_groups()
    attenuation = [float(m.value) for m in root.get_measurements() if m.name.value == "112031"]
    assert attenuation == [calcium["luminance_hu"], calcium["luminance_sd_hu"]]
    assert values_of(root)["118565006"] == (pytest.approx(calcium["root_volume_mm3"]), "mm3")
    assert len(others) == 6
    groups = {group.tracking_identifier.split(", ")[1]: group for group in (main, *others)}
    for rule in calcium["rules"]:
        assert values_of(groups[rule["rule"]]) == {
            "118565006": (pytest.approx(rule["calcium_volume_mm3"]), "mm3"),
            "111038": (rule["lesion_count"], "1"),
            "threshold": (pytest.approx(rule["threshold_hu"]), "[hnsf'U]"),
        }
    for name, group in zip(SEGS, (root, main), strict=True):
        segment = group.referenced_segment
        assert segment.referenced_sop_instance_uid == segread(out / name).SOPInstanceUID
        assert segment.referenced_segment_numbers == [1]


def test_a_root_without_calcium_has_no_calcium_segment_but_a_measured_nought(tmp_path):
    dicom, results, out = tmp_path / "dicom", tmp_path / "results", tmp_path / "out"
    write_source(dicom)
    write_results(dicom, results, with_calcium=False)
    assert hand_back(dicom, results, out).outcome == "written"
    assert sorted(path.name for path in out.iterdir()) == ["seg_root.dcm", "sr.dcm"]
    assert hand_back(dicom, results, out).outcome == "unchanged"
    report = srread(out / "sr.dcm").content
    assert len(report.get_volumetric_roi_measurement_groups()) == 1
    for group in report.get_image_measurement_groups():
        assert values_of(group)["118565006"] == (0.0, "mm3")


def test_the_same_results_make_the_same_objects_once(scan, tmp_path):
    dicom, results, out = scan
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    assert set(first) == {*SEGS, "sr.dcm"}
    assert hand_back(dicom, results, out).outcome == "unchanged"
    again = tmp_path / "again"
    assert hand_back(dicom, results, again).outcome == "written"
    assert {path.name: path.read_bytes() for path in again.iterdir()} == first


def test_other_results_make_other_objects(scan):
    dicom, results, out = scan
    before = pydicom.dcmread(out / "sr.dcm").SOPInstanceUID
    record = read_record(results / "calcium.json")
    write_record(results / "calcium.json", record | {"luminance_hu": 481.0})
    assert hand_back(dicom, results, out).outcome == "written"
    assert pydicom.dcmread(out / "sr.dcm").SOPInstanceUID != before


def test_a_scan_that_is_not_measured_has_no_objects(scan):
    dicom, results, out = scan
    record = read_record(results / "calcium.json")
    write_record(results / "calcium.json", record | {"status": "excluded", "reason": "no_contrast"})
    done = hand_back(dicom, results, out)
    assert (done.outcome, done.detail) == ("not_measured", "no_contrast")
    assert not list(out.iterdir())


def test_a_scan_that_has_not_run_is_told(tmp_path):
    done = hand_back(tmp_path / "dicom", tmp_path / "results", tmp_path / "out")
    assert (done.outcome, done.detail) == ("not_measured", "the chain has not come to its end")


def moved_slice(dicom, results):
    path = min(dicom.iterdir())
    header = pydicom.dcmread(path)
    header.ImagePositionPatient[2] += 0.4
    header.save_as(path)


def changed_pixel(dicom, results):
    path = min(dicom.iterdir())
    header = pydicom.dcmread(path)
    pixels = header.pixel_array.copy()
    pixels[3, 4] += 700
    header.PixelData = pixels.tobytes()
    header.save_as(path)


def missing_slice(dicom, results):
    max(dicom.iterdir()).unlink()


def double_slice(dicom, results):
    header = pydicom.dcmread(min(dicom.iterdir()))
    header.SOPInstanceUID = "1.2.3"
    header.save_as(dicom / "copy.dcm")


def gone(dicom, results):
    shutil.rmtree(dicom)


def other_series(dicom, results):
    shutil.rmtree(dicom)
    write_series(dicom, "b", positions=along_normal(SLICES))


def resampled(dicom, results):
    for name in ("ct", "root_mask", "calcium_mask"):
        path = results / f"{name}.nii.gz"
        image = volume.read(path)
        affine = image.affine.copy()
        affine[0, 2] += 0.2
        volume.write(path, volume.Volume(image.array, affine))


@pytest.mark.parametrize(
    ("harm", "told"),
    [
        (moved_slice, "it was resampled"),
        (changed_pixel, "it has changed"),
        (missing_slice, "fewer images"),
        (double_slice, "two images of the source lie at one place"),
        (gone, "does not exist any more"),
        (other_series, "not in the source any more"),
        (resampled, "it was resampled"),
    ],
)
def test_what_cannot_be_drawn_on_the_source_is_refused(scan, harm, told):
    dicom, results, out = scan
    (out / "sr.dcm").unlink()
    harm(dicom, results)
    done = hand_back(dicom, results, out)
    assert done.outcome == "refused"
    assert told in done.detail
    assert PATIENT not in done.detail
    assert not list(out.iterdir()), "objects of an earlier run were left behind"


def test_nifti_has_no_images_to_refer_to(scan):
    _, results, out = scan
    (out / "sr.dcm").unlink()
    done = hand_back(results / "ct.nii.gz", results, out)
    assert done.outcome == "refused"
    assert "NIfTI" in done.detail


def test_another_key_does_not_find_the_series(scan):
    dicom, results, out = scan
    (out / "sr.dcm").unlink()
    done = hand_back_scan("s1", results, dicom, out, key=KEY + b"?", max_archive_bytes=1e9)
    assert (done.outcome, "key" in done.detail) == ("refused", True)


def test_a_zip_is_read_as_its_folder_is(scan, tmp_path):
    dicom, results, out = scan
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in dicom.iterdir():
            archive.write(path, path.name)
    first = (out / "seg_calcium.dcm").read_bytes()
    (out / "seg_calcium.dcm").unlink()
    assert hand_back(tmp_path / "scan.zip", results, out).outcome == "written"
    assert (out / "seg_calcium.dcm").read_bytes() == first
    assert sorted(path.name for path in out.iterdir()) == sorted([*SEGS, "sr.dcm"])


def test_a_given_root_is_not_called_automatic(tmp_path):
    dicom, results, out = tmp_path / "dicom", tmp_path / "results", tmp_path / "out"
    write_source(dicom)
    write_results(dicom, results)
    record = read_record(results / "calcium.json")
    write_record(results / "calcium.json", record | {"root_source": "sheet"})
    hand_back(dicom, results, out)
    root = segread(out / "seg_root.dcm").get_segment_description(1)
    assert root.algorithm_type.value == "SEMIAUTOMATIC"
