"""What is packed, damaged, implausible or converted wrongly: refused, nothing left behind."""

import stat
import zipfile

import numpy as np
import pydicom
import pytest
from calcohort.dicom import convert
from calcohort.outcomes import Reason, run_stage
from dicom_conversion import EVEN, SLICES, assert_same_world, refusal, run
from dicom_factory import along_normal, stored_pixels, write_series
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import RLELossless


@pytest.fixture
def dicom(tmp_path):
    return tmp_path / "dicom"


@pytest.fixture
def ct(tmp_path):
    return tmp_path / "results" / "ct.nii.gz"


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
