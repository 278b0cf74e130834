"""Defects of stored values, their bits and their rescaling."""

import numpy as np
from pydicom.dataset import Dataset

from calcohort.outcomes import Reason
from calcohort.phantom.defects.scan import INTERCEPT_HU, Stage, defect, stored

PADDING = (slice(0, 6), slice(0, 9))
"""Rows and columns of a corner that is said to lie outside of the reconstructed field."""


def store(dataset: Dataset, values: np.ndarray, signed: bool = False) -> None:
    """Store values in 16 bits."""
    dataset.PixelRepresentation = int(signed)
    dataset.PixelData = values.astype("<i2" if signed else "<u2").tobytes()


def pad(dataset: Dataset, value: int) -> None:
    """Store `value` in a corner."""
    values = stored(dataset)
    values[PADDING] = value
    store(dataset, values)


@defect(Stage.DATASETS)
def signed_values(datasets):
    """Pixels are HU themselves, signed, with an intercept of 0."""
    for dataset in datasets:
        store(dataset, stored(dataset).astype(int) + INTERCEPT_HU, signed=True)
        dataset.RescaleIntercept = 0


@defect(Stage.DATASETS)
def signed_and_unsigned_slices(datasets):
    """Every other slice is signed."""
    for dataset in datasets[::2]:
        dataset.PixelRepresentation = 1


@defect(Stage.DATASETS)
def twelve_bits(datasets):
    """Twelve of 16 bits are stored."""
    for dataset in datasets:
        dataset.BitsStored, dataset.HighBit = 12, 11


@defect(Stage.DATASETS)
def overlay_in_high_bits(datasets):
    """Twelve bits are stored, an overlay lies in bits 12 and 15 (retired, once common)."""
    for dataset in datasets:
        dataset.BitsStored, dataset.HighBit = 12, 11
        values = stored(dataset)
        values[::3] |= 0x1000
        values[:, ::5] |= 0x8000
        store(dataset, values)
        dataset.add_new(0x60000010, "US", dataset.Rows)
        dataset.add_new(0x60000011, "US", dataset.Columns)
        dataset.add_new(0x60000040, "CS", "G")
        dataset.add_new(0x60000050, "SS", [1, 1])
        dataset.add_new(0x60000100, "US", 16)
        dataset.add_new(0x60000102, "US", 12)


@defect(Stage.DATASETS)
def negative_values_in_12_bits(datasets):
    """Signed values fill twelve bits; the four above are zero, not the sign."""
    for dataset in datasets:
        dataset.BitsStored, dataset.HighBit = 12, 11
        store(dataset, (stored(dataset).astype(int) + INTERCEPT_HU) & 0xFFF)
        dataset.PixelRepresentation, dataset.RescaleIntercept = 1, 0


@defect(Stage.DATASETS)
def thirty_two_bits(datasets):
    """A pixel takes 32 bits."""
    for dataset in datasets:
        dataset.PixelData = stored(dataset).astype("<u4").tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 32, 32, 31


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def wrong_high_bit(datasets):
    """Twelve bits are stored, the high bit is 15: which twelve cannot be told."""
    for dataset in datasets:
        dataset.BitsStored = 12


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def eight_bits(datasets):
    """A pixel takes 8 bits, steps of 10 HU."""
    for dataset in datasets:
        dataset.PixelData = (stored(dataset) // 10).astype("u1").tobytes()
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
        dataset.RescaleSlope = 10


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def no_bits_stored(datasets):
    """Bits Stored is missing."""
    for dataset in datasets:
        del dataset.BitsStored


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD, repairs="slice_rescale")
def intercept_of_each_slice(datasets):
    """Each slice has an intercept of its own, and stored values that fit it."""
    for k, dataset in enumerate(datasets):
        store(dataset, stored(dataset) + k)
        dataset.RescaleIntercept = INTERCEPT_HU - k


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD, repairs="slice_rescale")
def slope_of_each_slice(datasets):
    """Every other slice has a slope of 0.5, and stored values that fit it."""
    for dataset in datasets[::2]:
        store(dataset, stored(dataset) * 2)
        dataset.RescaleSlope = 0.5


@defect(Stage.DATASETS)
def slope_of_one_half(datasets):
    """Slope is 0.5 everywhere, stored values fit it."""
    for dataset in datasets:
        store(dataset, stored(dataset) * 2)
        dataset.RescaleSlope = 0.5


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def slope_of_zero(datasets):
    """Slope is 0."""
    for dataset in datasets:
        dataset.RescaleSlope = 0


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def negative_slope(datasets):
    """Slope is -1."""
    for dataset in datasets:
        dataset.RescaleSlope = -1


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def one_missing_slope(datasets):
    """One image has no slope."""
    del datasets[9].RescaleSlope


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def no_intercept(datasets):
    """No image has an intercept."""
    for dataset in datasets:
        del dataset.RescaleIntercept


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def lost_intercept(datasets):
    """Intercept is 0 with stored values that need -1024."""
    for dataset in datasets:
        dataset.RescaleIntercept = 0


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def other_units(datasets):
    """Values are densities of iodine, not HU."""
    for dataset in datasets:
        dataset.RescaleType = "MGML"


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def values_of_a_picture(datasets):
    """Values were scaled to 0 to 255."""
    for dataset in datasets:
        store(dataset, stored(dataset) // 8)
        dataset.RescaleIntercept = 0


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def inverted_grey(datasets):
    """The photometric interpretation is MONOCHROME1."""
    for dataset in datasets:
        dataset.PhotometricInterpretation = "MONOCHROME1"


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def colour(datasets):
    """Images are RGB."""
    for dataset in datasets:
        grey = (stored(dataset) // 8).astype("u1")
        dataset.PixelData = np.stack([grey] * 3, axis=-1).tobytes()
        dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 3, "RGB"
        dataset.PlanarConfiguration = 0
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7


@defect(Stage.DATASETS, repairs="padding")
def padding_below_air(datasets):
    """A corner outside of the field is -2000 HU; without the repair it stays so."""
    for dataset in datasets:
        store(dataset, stored(dataset).astype(int) + INTERCEPT_HU, signed=True)
        values = np.frombuffer(dataset.PixelData, "<i2").reshape(dataset.Rows, -1).copy()
        values[PADDING] = -2000
        store(dataset, values, signed=True)
        dataset.RescaleIntercept = 0
        dataset.add_new("PixelPaddingValue", "SS", -2000)


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD, repairs="padding")
def padding_above_bone(datasets):
    """A corner outside of the field is 63536, as -2000 reads when its sign is lost."""
    for dataset in datasets:
        pad(dataset, 63536)
        dataset.add_new("PixelPaddingValue", "US", 63536)


@defect(Stage.DATASETS, Reason.NOT_HOUNSFIELD)
def padding_like_calcium(datasets):
    """A corner outside of the field is 400 HU, the padding value."""
    for dataset in datasets:
        pad(dataset, 400 - INTERCEPT_HU)
        dataset.add_new("PixelPaddingValue", "US", 400 - INTERCEPT_HU)


@defect(Stage.DATASETS)
def padding_that_is_not_there(datasets):
    """The padding value, 3976 HU, is in no image."""
    for dataset in datasets:
        dataset.add_new("PixelPaddingValue", "US", 5000)


@defect(Stage.DATASETS, Reason.UNREADABLE)
def no_pixels(datasets):
    """One image has no pixel data."""
    del datasets[8].PixelData


@defect(Stage.DATASETS, Reason.UNREADABLE)
def half_the_pixels(datasets):
    """One image has half of its pixel data."""
    datasets[8].PixelData = datasets[8].PixelData[: len(datasets[8].PixelData) // 2]
