import json
import shutil
import stat
import zipfile

import numpy as np
import pydicom
import pytest
from calcohort.dicom import convert
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.outcomes import Excluded, Reason, run_stage
from calcohort.volume import read
from dicom_factory import (
    HOSPITAL,
    KEY,
    NAME,
    PATIENT,
    along_normal,
    stored_pixels,
    uid,
    write_series,
)
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless
from scipy.spatial.transform import Rotation

SLICES = 32
EVEN = along_normal(SLICES)


@pytest.fixture
def dicom(tmp_path):
    return tmp_path / "dicom"


@pytest.fixture
def ct(tmp_path):
    return tmp_path / "results" / "ct.nii.gz"


def run(source, ct, series_uid=None, **limits):
    return convert_scan(source, ct, series_uid=series_uid, limits=Limits(**limits), key=KEY)


def refusal(source, ct, series_uid=None, **limits):
    with pytest.raises(Excluded) as caught:
        run(source, ct, series_uid, **limits)
    assert list(ct.parent.glob("*")) == [], "something was left behind"
    assert list(ct.parent.glob(".*")) == [], "something was left behind"
    return caught.value


def assert_same_world(paths, ct, slope=1.0, intercept=-1024.0):
    """Every pixel lies, with its HU, where its own header says (DICOM PS3.3, C.7.6.2.1.1)."""
    volume = read(ct)
    assert volume.array.dtype == np.int16
    assert volume.array.size == len(paths) * 16 * 20
    for path in paths:
        header = pydicom.dcmread(path)
        hu = np.rint(header.pixel_array * np.float64(slope) + intercept)
        rows, columns = np.mgrid[: header.Rows, : header.Columns]
        along_row, along_column = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        between_rows, between_columns = header.PixelSpacing
        lps = (
            np.array(header.ImagePositionPatient, float)
            + columns[..., None] * between_columns * along_row
            + rows[..., None] * between_rows * along_column
        )
        index = volume.grid.index(lps * (-1, -1, 1))
        nearest = index.round().astype(int)
        assert np.abs((index - nearest) * volume.grid.spacing_mm).max() < 0.01
        np.testing.assert_array_equal(volume.array[tuple(np.moveaxis(nearest, -1, 0))], hu)


def oblique(*degrees):
    directions = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    return (*directions[:, 0], *directions[:, 1])


ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "head down": (-1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": oblique(20, 0, 0),
    "double oblique": oblique(20, -15, 35),
}


@pytest.mark.parametrize("iop", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_every_pixel_keeps_its_place_and_value(dicom, ct, iop):
    paths = write_series(dicom, iop=iop, positions=along_normal(SLICES, 2.0, iop))
    findings = run(dicom, ct)
    assert_same_world(paths, ct)
    assert findings["tilt_degrees"] < 1e-4


def test_reversed_order_of_slices_gives_the_same_image(dicom, tmp_path, ct):
    pixels = stored_pixels(SLICES)
    write_series(dicom / "up", positions=EVEN, pixels=pixels)
    write_series(dicom / "down", positions=EVEN[::-1], pixels=pixels[::-1])
    run(dicom / "up", ct)
    run(dicom / "down", tmp_path / "down.nii.gz")
    assert ct.read_bytes() == (tmp_path / "down.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("low", "slope", "intercept"),
    [
        (0, 1, -1024),
        (-1024, 1, 0),
        (-3000, 1, 0),
        (0, 2, -2048),
        (0, 0.5, -1000.25),
        (0, 0.3, -800),
    ],
)
def test_stored_values_become_hounsfield(dicom, ct, low, slope, intercept):
    pixels = stored_pixels(SLICES) + low
    paths = write_series(
        dicom, positions=EVEN, pixels=pixels, RescaleSlope=slope, RescaleIntercept=intercept
    )
    findings = run(dicom, ct)
    assert_same_world(paths, ct, slope, intercept)
    assert findings["hu_min"] == round(pixels.min() * slope + intercept)


def test_rounded_positions_do_not_add_up_along_the_scan(dicom, ct):
    # 0.625 mm written with two decimals: the first two slices are 0.63 mm apart, and an affine
    # made from them would be 0.7 mm off at the end.
    positions = along_normal(140, 0.625)
    positions[:, 2] = positions[:, 2].round(2)
    paths = write_series(dicom, positions=positions)
    findings = run(dicom, ct)
    assert findings["slice_spacing_mm"] == pytest.approx(0.625, abs=1e-4)
    assert_same_world(paths, ct)


def test_a_tilt_within_the_limit_is_in_the_affine(dicom, ct):
    positions = EVEN.copy()
    positions[:, 1] += np.tan(np.radians(0.04)) * (EVEN[:, 2] - EVEN[0, 2])
    paths = write_series(dicom, positions=positions)
    run(dicom, ct)
    assert_same_world(paths, ct)


@pytest.mark.parametrize(
    "elements",
    [
        {"AcquisitionNumber": lambda k: k // 8},
        {"TriggerTime": lambda k: 500 + k},
        {"AcquisitionTime": lambda k: f"1200{k:02d}"},
        {"Exposure": lambda k: 100 + k, "XRayTubeCurrent": lambda k: 200 + k},
        {"InstanceNumber": lambda k: 1},
        {"InstanceNumber": lambda k: 1 + (k * 7) % SLICES},
        {"SeriesInstanceUID": None, "StudyInstanceUID": None},
        {"SeriesNumber": None, "Manufacturer": "SIEMENS"},
        {"GantryDetectorTilt": 15},
        {"Manufacturer": "GE MEDICAL SYSTEMS", "KVP": None},
    ],
    ids=lambda elements: "-".join(elements),
)
def test_one_series_stays_one_volume_whatever_changes_between_slices(dicom, ct, elements):
    paths = write_series(dicom, positions=EVEN, **elements)
    run(dicom, ct)
    assert_same_world(paths, ct)


def test_only_the_chosen_series_is_converted(dicom, ct):
    paths = write_series(dicom / "S1", "thin", positions=EVEN, SeriesNumber=5)
    write_series(dicom / "S2", "thick", positions=along_normal(SLICES, 2.5), SeriesNumber=1)
    write_series(dicom / "S3", "scout", positions=EVEN[:1], ImageType=r"ORIGINAL\PRIMARY\LOCALIZER")
    (dicom / "DIRFILE").write_text("not an image")
    findings = run(dicom, ct)
    assert_same_world(paths, ct)
    assert findings["ignored_files"] == 1
    assert [c["images"] for c in findings["candidates"]] == [SLICES, SLICES, 1]


def test_findings_of_a_series(dicom, ct):
    write_series(
        dicom,
        positions=EVEN,
        ContrastBolusAgent="Iomeron 400",
        NominalPercentageOfCardiacPhase=75.0,
        TriggerTime=600,
        SoftwareVersions="VB20A_SP4",
    )
    findings = run(dicom, ct)
    expected = {
        "source": "dicom",
        "modality": "CT",
        "manufacturer": "Maker",
        "model": "Scanner",
        "software": "VB20A_SP4",
        "kernel": "B26f",
        "kv": 120.0,
        "slice_thickness_mm": 3.0,
        "slice_spacing_mm": 2.0,
        "pixel_spacing_mm": [0.5, 0.75],
        "rows": 16,
        "columns": 20,
        "slices": 32,
        "coverage_mm": 64.0,
        "phase": "75 % of the R-R interval",
        "phase_percent": 75.0,
        "trigger_time_ms": 600.0,
        "contrast": True,
        "image_type": r"ORIGINAL\PRIMARY\AXIAL",
        "orientation": [1, 0, 0, 0, 1, 0],
        "transfer_syntax": "Explicit VR Little Endian",
        "lossy_compression": False,
        "why_chosen": "the only original axial CT series",
    }
    assert {key: findings[key] for key in expected} == expected
    hashes = [findings[f"{kind}_hash"] for kind in ("patient", "study", "series")]
    assert len({*hashes}) == 3
    assert all(len(value) == 64 for value in hashes)


def test_no_identifier_in_findings_or_sentences(dicom, ct, tmp_path):
    names = [f"{NAME}_{uid('a')}_{k}" for k in range(SLICES)]
    write_series(dicom, positions=EVEN, names=names)
    told = [json.dumps(run(dicom, ct))]
    shutil.rmtree(ct.parent)
    (dicom / names[3]).write_bytes((dicom / names[3]).read_bytes()[:-100])
    told.append(str(refusal(dicom, ct)))
    (dicom / names[4]).write_bytes(b"")
    told.append(str(refusal(dicom, ct)))
    for secret in (NAME, PATIENT, HOSPITAL, "2019", uid("a"), uid("study"), str(tmp_path)):
        assert not any(secret in text for text in told)


def test_same_input_gives_the_same_bytes(dicom, ct, tmp_path):
    write_series(dicom, positions=EVEN)
    first, second = run(dicom, ct), run(dicom, tmp_path / "second" / "ct.nii.gz")
    assert first == second
    assert ct.read_bytes() == (tmp_path / "second" / "ct.nii.gz").read_bytes()


def test_zip_gives_what_the_folder_gives(dicom, ct, tmp_path):
    paths = write_series(dicom, positions=EVEN)
    with zipfile.ZipFile(tmp_path / "scan.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in paths:
            archive.write(path, f"export/visit 1/{path.name}")
    assert run(tmp_path / "scan.zip", ct) == run(dicom, tmp_path / "other.nii.gz")
    assert [path.name for path in ct.parent.iterdir()] == [ct.name]
    assert_same_world(paths, ct)


def _link(archive):
    member = zipfile.ZipInfo("link")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16
    archive.writestr(member, "/etc")


@pytest.mark.parametrize(
    "spoil",
    [
        lambda archive: archive.writestr("../outside.dcm", b"x"),
        lambda archive: archive.writestr("/outside.dcm", b"x"),
        lambda archive: archive.writestr("a/..\\..\\outside.dcm", b"x"),
        lambda archive: archive.writestr("C:\\outside.dcm", b"x"),
        _link,
    ],
)
def test_zip_that_leads_out_of_its_folder(tmp_path, ct, spoil):
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        spoil(archive)
    assert refusal(tmp_path / "scan.zip", ct).reason is Reason.UNREADABLE
    assert not list(tmp_path.rglob("outside*"))


def test_zip_too_large_damaged_or_without_dicom(tmp_path, ct):
    scan = tmp_path / "scan.zip"
    with zipfile.ZipFile(scan, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.dcm", bytes(2_000_000))
    problem = refusal(scan, ct, max_archive_gb=0.001)
    assert (problem.reason, "unpack to" in problem.detail) == (Reason.UNREADABLE, True)
    scan.write_bytes(scan.read_bytes()[:-30])
    assert refusal(scan, ct).reason is Reason.UNREADABLE
    with zipfile.ZipFile(scan, "w") as archive:
        archive.writestr("readme.txt", "hello")
    assert refusal(scan, ct).reason is Reason.NO_FILES


def test_empty_folder_and_missing_source(tmp_path, ct):
    (tmp_path / "empty").mkdir()
    assert refusal(tmp_path / "empty", ct).reason is Reason.NO_FILES
    assert refusal(tmp_path / "nowhere", ct).reason is Reason.NO_FILES


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.45, 0.6, 0.9, 0.999])
def test_a_truncated_file_is_never_converted(dicom, ct, kept):
    path = write_series(dicom, positions=EVEN)[12]
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    problem = refusal(dicom, ct)
    assert problem.reason in (Reason.UNREADABLE, Reason.NO_PIXEL_SPACING, Reason.NOT_HOUNSFIELD)
    if kept > 0.6:
        assert problem.reason is Reason.UNREADABLE
        assert "file 13 of 32" in problem.detail


def compress(path, cut=0):
    header = pydicom.dcmread(path)
    header.compress(RLELossless)
    if cut:
        frame = next(generate_frames(header.PixelData, number_of_frames=1))
        header.PixelData = encapsulate([frame[:-cut]])
    header.save_as(path)


@pytest.mark.parametrize("cut", [0, 40, 300])
def test_compressed_pixels(dicom, ct, cut):
    paths = write_series(dicom, positions=EVEN)
    for index, path in enumerate(paths):
        compress(path, cut if index == 12 else 0)
    if cut:
        problem = refusal(dicom, ct)
        assert problem.reason in (Reason.UNREADABLE, Reason.CONVERSION_MISMATCH)
    else:
        assert run(dicom, ct)["transfer_syntax"].startswith("RLE")
        assert_same_world(paths, ct)


def test_damage_in_another_series_does_not_matter(dicom, ct):
    paths = write_series(dicom / "good", "good", positions=EVEN)
    other = write_series(dicom / "other", "other", positions=along_normal(3))
    content = other[0].read_bytes()
    other[0].write_bytes(content[: content.index(b"ORIGINAL")])
    assert refusal(dicom, ct).reason is Reason.UNREADABLE, "its series is unknown"
    other[0].write_bytes(content[:-50])
    run(dicom, ct)
    assert_same_world(paths, ct)


def test_image_without_pixels(dicom, ct):
    write_series(dicom, positions=EVEN, PixelData=lambda k: None)
    assert refusal(dicom, ct).reason in (Reason.UNREADABLE, Reason.NOT_CONVERTIBLE)


@pytest.mark.parametrize(
    "pixels",
    [stored_pixels(SLICES) % 256, stored_pixels(SLICES) % 2, np.full((SLICES, 16, 20), 24)],
    ids=["0…255", "0…1", "air only"],
)
def test_values_of_no_chest(dicom, ct, pixels):
    intercept = -1024 if pixels.min() == pixels.max() else 0
    write_series(dicom, positions=EVEN, pixels=pixels, RescaleIntercept=intercept)
    assert refusal(dicom, ct).reason is Reason.NOT_HOUNSFIELD


def test_values_beyond_int16(dicom, ct):
    pixels = stored_pixels(SLICES)
    pixels[3, 2, 1] = 60000
    write_series(dicom, positions=EVEN, pixels=pixels)
    assert refusal(dicom, ct).reason is Reason.NOT_HOUNSFIELD


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda a: a[::-1], Reason.CONVERSION_MISMATCH),
        (lambda a: a[:, :, ::-1], Reason.CONVERSION_MISMATCH),
        (lambda a: a + (np.arange(a.size).reshape(a.shape) == 4321), Reason.CONVERSION_MISMATCH),
        (lambda a: a[:-1], Reason.CONVERSION_MISMATCH),
        (lambda a: a, None),
    ],
    ids=["slices reversed", "columns mirrored", "one voxel by 1 HU", "a slice less", "unchanged"],
)
def test_a_wrong_conversion_is_found(dicom, ct, monkeypatch, change, reason):
    true_run = convert.run_dcm2niix

    def wrong_run(images, workspace, **options):
        volume = true_run(images, workspace, **options)
        return type(volume)(change(volume.array), volume.affine)

    monkeypatch.setattr(convert, "run_dcm2niix", wrong_run)
    write_series(dicom, positions=EVEN)
    if reason is None:
        run(dicom, ct)
    else:
        assert refusal(dicom, ct).reason is reason


@pytest.mark.parametrize("column", [0, 1, 2, 3])
def test_a_wrong_affine_is_found(dicom, ct, monkeypatch, column):
    true_run = convert.run_dcm2niix

    def wrong_run(images, workspace, **options):
        volume = true_run(images, workspace, **options)
        affine = volume.affine.copy()
        affine[:3, column] *= 1.1
        return type(volume)(volume.array, affine)

    monkeypatch.setattr(convert, "run_dcm2niix", wrong_run)
    write_series(dicom, positions=EVEN)
    assert refusal(dicom, ct).reason is Reason.CONVERSION_MISMATCH


def test_what_a_killed_run_left_is_cleared(dicom, ct):
    paths = write_series(dicom, positions=EVEN)
    left = ct.parent / ".ct.nii.gz.converting" / "series"
    left.mkdir(parents=True)
    (left / "00099.dcm").write_bytes(paths[0].read_bytes())
    run(dicom, ct)
    assert [path.name for path in ct.parent.iterdir()] == [ct.name]
    assert_same_world(paths, ct)


def test_outcome_as_a_record(dicom, ct):
    write_series(dicom, positions=np.delete(EVEN, 4, axis=0))
    record = run_stage(
        "convert", "s1", lambda: run(dicom, ct, min_slices=10, min_coverage_mm=10),
        record=ct.parent / "series.json", images=[ct],
    )  # fmt: skip
    assert (record["status"], record["reason"]) == ("excluded", "missing_slices")
    assert ct.stat().st_size == 0
