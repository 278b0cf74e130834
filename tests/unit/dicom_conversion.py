"""A small series converted, or refused with nothing left behind."""

import numpy as np
import pydicom
import pytest
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.outcomes import Excluded
from calcohort.volume import read
from dicom_factory import KEY, along_normal

SLICES = 32
EVEN = along_normal(SLICES)


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
