"""A written series is valid DICOM, repeatable, and comes back from dcm2niix unchanged."""

import subprocess
from pathlib import Path

import dcm2niix
import numpy as np
import pydicom
import pytest
from calcohort import volume
from calcohort.outcomes import UserError
from calcohort.phantom.series import Acquisition, write_series
from calcohort.volume import Volume
from pydicom.uid import CTImageStorage, MRImageStorage
from scipy.spatial.transform import Rotation

SPACING_IJK_MM = np.array([0.488, 0.6, 0.625])


def make_volume(angles_deg=(0.0, 0.0, 0.0), shape=(7, 6, 5)):
    """HU that name their voxel, on a grid rotated about x, y and z."""
    affine = np.eye(4)
    rotation = Rotation.from_euler("xyz", angles_deg, degrees=True).as_matrix()
    affine[:3, :3] = rotation * SPACING_IJK_MM
    affine[:3, 3] = [-120.25, -99.5, 1203.125]
    hu = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) * 3 - 1024
    return Volume(hu, affine)


def headers(folder):
    return [pydicom.dcmread(path) for path in sorted(folder.iterdir())]


@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (0, 0, 12), (11, -7, 5), (-20, 14, -9)], ids=str)
def test_dcm2niix_gives_back_the_volume(tmp_path, angles_deg):
    written = make_volume(angles_deg)
    write_series(tmp_path / "in", written, patient_id="P", seed=3)
    (tmp_path / "out").mkdir()
    command = [
        dcm2niix.bin,
        "-z",
        "n",
        "-b",
        "n",
        "-f",
        "ct",
        "-o",
        tmp_path / "out",
        tmp_path / "in",
    ]
    subprocess.run([str(part) for part in command], check=True, capture_output=True)
    back = volume.read(tmp_path / "out" / "ct.nii")
    np.testing.assert_array_equal(back.array, written.array)
    np.testing.assert_allclose(back.affine, written.affine, atol=1e-3)


@pytest.mark.parametrize("angles_deg", [(0, 0, 0), (11, -7, 5)], ids=str)
def test_positions_are_those_of_the_affine(tmp_path, angles_deg):
    """The pixel at row r, column c of a file lies where PS3.3 equation C.7.6.2.1-1 puts it."""
    written = make_volume(angles_deg)
    write_series(tmp_path, written, patient_id="P", seed=3)
    for header in headers(tmp_path):
        k = header.InstanceNumber - 1
        across, down = np.reshape(header.ImageOrientationPatient, (2, 3))
        row_mm, column_mm = header.PixelSpacing
        for r, c in [(0, 0), (5, 0), (2, 4)]:
            lps_mm = header.ImagePositionPatient + across * column_mm * c + down * row_mm * r
            k_j_i = written.grid.index(lps_mm * [-1, -1, 1])
            np.testing.assert_allclose(k_j_i[0], k, atol=1e-3)
            j, i = np.rint(k_j_i[1:]).astype(int)
            hu = header.pixel_array[r, c] * header.RescaleSlope + header.RescaleIntercept
            assert hu == written.array[k, j, i]


def test_an_upright_scan_has_the_usual_orientation(tmp_path):
    write_series(tmp_path, make_volume(), patient_id="P", seed=3)
    header = headers(tmp_path)[0]
    assert header.ImageOrientationPatient == [1, 0, 0, 0, 1, 0]
    assert header.PixelSpacing == [0.6, 0.488]
    assert header.SpacingBetweenSlices == 0.625


def test_headers_tell_the_acquisition(tmp_path):
    acquisition = Acquisition(
        kv=100, kernel="SOFT", slice_thickness_mm=1.25, contrast_agent="", cardiac_phase_percent=40
    )
    write_series(tmp_path, make_volume(), patient_id="P-1", seed=3, acquisition=acquisition)
    header = headers(tmp_path)[0]
    assert (header.SOPClassUID, header.Modality) == (CTImageStorage, "CT")
    assert (header.KVP, header.ConvolutionKernel, header.SliceThickness) == (100, "SOFT", 1.25)
    assert (header.RescaleSlope, header.RescaleIntercept) == (1, -1024)
    assert header.NominalPercentageOfCardiacPhase == 40
    assert "ContrastBolusAgent" not in header
    assert header.PatientID == "P-1"


def test_an_mr_series_is_mr(tmp_path):
    write_series(
        tmp_path, make_volume(), patient_id="P", seed=3, acquisition=Acquisition(modality="MR")
    )
    header = headers(tmp_path)[0]
    assert (header.SOPClassUID, header.Modality) == (MRImageStorage, "MR")
    assert "RescaleIntercept" not in header and "KVP" not in header


def test_uids_are_valid_one_per_image_and_shared_by_the_series(tmp_path):
    write_series(tmp_path, make_volume(), patient_id="P", seed=3)
    found = headers(tmp_path)
    assert len({h.SOPInstanceUID for h in found}) == len(found) == 7
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        (uid,) = {h[name].value for h in found}
        assert uid.is_valid
    for header in found:
        assert header.SOPInstanceUID.is_valid
        assert header.file_meta.MediaStorageSOPInstanceUID == header.SOPInstanceUID


def test_the_same_seed_gives_the_same_bytes_and_another_seed_other_uids(tmp_path):
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        write_series(tmp_path / name, make_volume(), patient_id="P", seed=seed)

    def read(name):
        return {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}

    assert read("a") == read("b")
    series = {headers(tmp_path / name)[0].SeriesInstanceUID for name in ("a", "c")}
    assert len(series) == 2


def test_file_names_do_not_tell_the_slice_order(tmp_path):
    files = write_series(tmp_path, make_volume(shape=(30, 3, 3)), patient_id="P", seed=3)
    assert sorted(path.name for path in files) == [f"IM{n:04d}" for n in range(1, 31)]
    assert files != sorted(files)


def test_a_sheared_affine_is_refused(tmp_path):
    sheared = make_volume()
    sheared.affine[0, 2] += 0.1
    with pytest.raises(UserError, match="sheared"):
        write_series(tmp_path, sheared, patient_id="P", seed=3)


@pytest.mark.parametrize("value", [np.int32(31744), np.int32(-32769), np.float32(1.5)], ids=str)
def test_values_that_do_not_fit_are_refused(tmp_path, value):
    array = np.full((2, 2, 2), value)
    with pytest.raises(UserError, match="cannot be stored"):
        write_series(tmp_path, Volume(array, np.eye(4)), patient_id="P", seed=3)


def test_the_largest_values_survive(tmp_path):
    array = np.array([-32768, 31743, -1024, 0], dtype=np.int16).reshape(1, 2, 2)
    write_series(tmp_path, Volume(array, np.diag([-1.0, -1, 1, 1])), patient_id="P", seed=3)
    (header,) = headers(Path(tmp_path))
    np.testing.assert_array_equal(header.pixel_array.astype(int) - 1024, array[0])
