import numpy as np
import pytest
from calcohort.dicom.find import find_series
from dicom_factory import SLICES, along_normal, uid, write_series
from pydicom.uid import EnhancedCTImageStorage, MRImageStorage


def kinds(folder):
    return {(series.kind, len(series.images)) for series in find_series(folder).series}


def test_nested_files_without_extension_are_one_series(tmp_path):
    names = [f"visit/S{k % 3}/I{k}" for k in range(SLICES)]
    write_series(tmp_path, names=names)
    (tmp_path / "visit" / "notes.txt").write_text("not an image")
    found = find_series(tmp_path)
    assert [len(series.images) for series in found.series] == [SLICES]
    assert (found.ignored, found.broken) == (1, ())


def test_series_are_told_apart_by_uid_and_kind(tmp_path):
    write_series(tmp_path / "a", "a")
    write_series(tmp_path / "b", "b", positions=along_normal(5))
    write_series(
        tmp_path / "scout", "a", positions=along_normal(1), ImageType=r"ORIGINAL\PRIMARY\LOCALIZER"
    )
    assert kinds(tmp_path) == {("axial", SLICES), ("axial", 5), ("localizer", 1)}


@pytest.mark.parametrize(
    ("elements", "kind"),
    [
        ({}, "axial"),
        ({"ImageType": None}, "axial"),
        ({"ImageType": r"ORIGINAL\PRIMARY"}, "axial"),
        ({"ImageType": r"ORIGINAL\PRIMARY\LOCALIZER"}, "localizer"),
        ({"ImageType": r"DERIVED\PRIMARY\AXIAL"}, "derived"),
        ({"ImageType": r"DERIVED\SECONDARY\MPR"}, "derived"),
        ({"ImageType": r"ORIGINAL\SECONDARY\AXIAL"}, "derived"),
        ({"ImageType": r"ORIGINAL\PRIMARY\OTHER"}, "not axial"),
        ({"Modality": "MR", "SOPClassUID": MRImageStorage}, "not CT"),
        ({"NumberOfFrames": 4, "SOPClassUID": EnhancedCTImageStorage}, "multi-frame"),
        ({"NumberOfFrames": 1}, "axial"),
    ],
)
def test_kind_follows_modality_and_image_type(tmp_path, elements, kind):
    write_series(tmp_path, positions=along_normal(1), **elements)
    assert kinds(tmp_path) == {(kind, 1)}


def test_images_without_series_uid_are_grouped_apart(tmp_path):
    write_series(tmp_path, "a")
    write_series(tmp_path, "b", positions=along_normal(3), SeriesInstanceUID=None)
    assert {s.uid: len(s.images) for s in find_series(tmp_path).series} == {uid("a"): SLICES, "": 3}


def test_hidden_files_are_passed_over(tmp_path):
    write_series(tmp_path / ".trash", positions=along_normal(1))
    (tmp_path / "._IM1.dcm").write_bytes(b"resource fork")
    found = find_series(tmp_path)
    assert (found.series, found.broken, found.ignored) == ((), (), 0)


def test_empty_files_and_false_dicom_count_as_damaged(tmp_path):
    (tmp_path / "I1").touch()
    (tmp_path / "I2.dcm").write_text("no DICOM at all")
    (tmp_path / "readme.txt").write_text("no DICOM at all")
    found = find_series(tmp_path)
    assert found.broken == (("file 1 of 3 (I1)", ""), ("file 2 of 3 (I2.dcm)", ""))
    assert found.ignored == 1


@pytest.mark.parametrize("kept_bytes", [133, 150, 200, 300, 400, 600])
def test_a_header_cut_short_is_damaged_not_ignored(tmp_path, kept_bytes):
    path = write_series(tmp_path, positions=along_normal(1))[0]
    path.write_bytes(path.read_bytes()[:kept_bytes])
    found = find_series(tmp_path)
    assert (found.series, len(found.broken), found.ignored) == ((), 1, 0)


def test_order_of_listing_does_not_matter(tmp_path):
    rng = np.random.default_rng(0)
    names = [f"I{k}" for k in rng.permutation(SLICES)]
    write_series(tmp_path, names=names)
    paths = [image.path.name for image in find_series(tmp_path).series[0].images]
    assert paths == sorted(names)
