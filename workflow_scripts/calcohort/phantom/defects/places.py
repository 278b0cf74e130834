"""Defects of where slices lie; pixels are painted afterwards, each HU in its place."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid
from scipy.spatial.transform import Rotation

from calcohort.outcomes import Reason
from calcohort.phantom.defects.scan import SLICE_MM, Stage, defect

NORMAL, BACK, LEFT = np.eye(3)[[2, 1, 0]]


def place(dataset: Dataset) -> np.ndarray:
    """Position of a slice, LPS mm."""
    return np.array(dataset.ImagePositionPatient, float)


def put(dataset: Dataset, position_mm: np.ndarray) -> None:
    """Set the position of a slice, LPS mm."""
    dataset.ImagePositionPatient = [f"{float(x):.10g}" for x in position_mm]


def turn(datasets: list[Dataset], rotation: Rotation) -> None:
    """Turn the whole scan about the origin."""
    for dataset in datasets:
        axes = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
        dataset.ImageOrientationPatient = [f"{x:.10f}" for x in rotation.apply(axes).ravel()]
        put(dataset, rotation.apply(place(dataset)))


def shear(datasets: list[Dataset], degrees: float) -> None:
    """Shift each slice to the back by its height times the tangent of an angle."""
    for dataset in datasets:
        height = place(dataset)[2]
        put(dataset, place(dataset) + BACK * height * np.tan(np.radians(degrees)))


def stack(datasets: list[Dataset], heights_mm: np.ndarray) -> None:
    """Put slices at new heights, from the lowest one on."""
    lowest = place(datasets[0])
    for dataset, height in zip(datasets, heights_mm, strict=True):
        put(dataset, lowest + NORMAL * height)


@defect(Stage.PLACES, Reason.TILTED, repairs="tilt")
def tilted_gantry(datasets):
    """Each slice is shifted to the back, as a gantry tilted by 15° shifts them."""
    shear(datasets, 15)


@defect(Stage.PLACES, Reason.TILTED, repairs="tilt")
def gantry_tilted_forwards(datasets):
    """The same by -20°."""
    shear(datasets, -20)


@defect(Stage.PLACES, Reason.TILTED, repairs="tilt")
def tilt_in_the_orientation(datasets):
    """The slices are turned by 12°, their stacking is not, as scanners write a tilt."""
    cosine, sine = np.cos(np.radians(12)), np.sin(np.radians(12))
    for dataset in datasets:
        dataset.ImageOrientationPatient = [1, 0, 0, 0, f"{cosine:.10f}", f"{-sine:.10f}"]


@defect(Stage.PLACES, Reason.TILTED)
def tilt_of_no_gantry(datasets):
    """Slices are sheared by 35°, more than gantries tilt."""
    shear(datasets, 35)


@defect(Stage.PLACES)
def tilt_of_rounding(datasets):
    """Slices are sheared by 0.02°, as rounded cosines do."""
    shear(datasets, 0.02)


@defect(Stage.PLACES, Reason.MISSING_SLICES, repairs="missing_slices")
def missing_slice(datasets):
    """One slice is missing in the middle."""
    del datasets[10]


@defect(Stage.PLACES, Reason.MISSING_SLICES, repairs="missing_slices")
def two_missing_slices(datasets):
    """Two slices are missing in different places."""
    del datasets[15], datasets[5]


@defect(Stage.PLACES, Reason.MISSING_SLICES)
def three_missing_slices(datasets):
    """Three slices are missing, more than the study allows to be interpolated."""
    del datasets[18], datasets[12], datasets[5]


@defect(Stage.PLACES, Reason.MISSING_SLICES)
def missing_block(datasets):
    """Two slices are missing in a row: a gap of 4.5 mm, above the limit of 3 mm."""
    del datasets[10:12]


@defect(Stage.PLACES)
def missing_ends(datasets):
    """The first and the last slice are missing, which nothing can tell."""
    del datasets[-1], datasets[0]


@defect(Stage.PLACES, Reason.UNEVEN_SLICES, repairs="uneven_spacing")
def two_spacings(datasets):
    """Slices are 1.5 mm apart in one half and 2.3 mm in the other."""
    gaps = np.where(np.arange(len(datasets) - 1) < 12, 1.5, 2.3)
    stack(datasets, np.r_[0, gaps.cumsum()])


@defect(Stage.PLACES, Reason.UNEVEN_SLICES, repairs="uneven_spacing")
def jittered_spacing(datasets):
    """Every slice is up to 0.3 mm off its even place."""
    jitter = np.random.default_rng(5).uniform(-0.3, 0.3, len(datasets))
    stack(datasets, np.arange(len(datasets)) * SLICE_MM + jitter - jitter[0])


@defect(Stage.PLACES, Reason.UNEVEN_SLICES, repairs="uneven_spacing")
def growing_spacing(datasets):
    """Slices are farther apart from one to the next, 1.2 to 2.1 mm."""
    stack(datasets, np.r_[0, np.linspace(1.2, 2.1, len(datasets) - 1).cumsum()])


@defect(Stage.PLACES, Reason.UNEVEN_SLICES)
def spacing_above_the_limit(datasets):
    """Slices are 2 mm apart in one half and 3.5 mm, above the limit, in the other."""
    gaps = np.where(np.arange(len(datasets) - 1) < 12, 2.0, 3.5)
    stack(datasets, np.r_[0, gaps.cumsum()])


@defect(Stage.PLACES, Reason.UNEVEN_SLICES, repairs="uneven_spacing")
def one_slice_too_high(datasets):
    """One slice lies 0.4 mm above its place."""
    put(datasets[11], place(datasets[11]) + NORMAL * 0.4)


@defect(Stage.PLACES, Reason.UNEVEN_SLICES)
def one_slice_to_the_side(datasets):
    """One slice lies 5 mm to the left of the others: no spacing explains that."""
    put(datasets[11], place(datasets[11]) + LEFT * 5)


@defect(Stage.PLACES, Reason.UNEVEN_SLICES)
def table_that_moved(datasets):
    """From the middle on, slices lie 3 mm to the back of the others."""
    for dataset in datasets[12:]:
        put(dataset, place(dataset) + BACK * 3)


@defect(Stage.PLACES)
def positions_rounded_to_hundredths(datasets):
    """Slices are 0.625 mm apart, written with two decimals."""
    stack(datasets, (np.arange(len(datasets)) * 1.625).round(2))


@defect(Stage.PLACES, Reason.UNEVEN_SLICES, repairs="uneven_spacing")
def positions_rounded_to_tenths(datasets):
    """Slices are 1.625 mm apart, written with one decimal."""
    stack(datasets, (np.arange(len(datasets)) * 1.625).round(1))


@defect(Stage.PLACES)
def feet_first_order(datasets):
    """Files and instance numbers run from head to feet."""
    datasets.reverse()


@defect(Stage.PLACES)
def shuffled_instance_numbers(datasets):
    """Instance numbers have no order."""
    for k, dataset in enumerate(datasets):
        dataset.InstanceNumber = 1 + (k * 7) % len(datasets)


@defect(Stage.PLACES)
def prone_patient(datasets):
    """The patient lies on the belly: rows and columns run the other way."""
    turn(datasets, Rotation.from_euler("z", 180, degrees=True))


@defect(Stage.PLACES)
def head_down_patient(datasets):
    """The patient lies the other way round: slices run from head to feet."""
    turn(datasets, Rotation.from_euler("y", 180, degrees=True))


@defect(Stage.PLACES)
def coronal_slices(datasets):
    """Slices are coronal."""
    turn(datasets, Rotation.from_euler("x", -90, degrees=True))


@defect(Stage.PLACES)
def oblique_slices(datasets):
    """Slices are turned about two axes, and stacked along their normal."""
    turn(datasets, Rotation.from_euler("xz", [25, -15], degrees=True))


@defect(Stage.PLACES)
def pixels_that_are_not_square(datasets):
    """Rows are 0.9 mm apart, columns 0.6 mm."""
    for dataset in datasets:
        dataset.PixelSpacing = [0.9, 0.6]


@defect(Stage.PLACES, Reason.MIXED_SLICES)
def one_coronal_slice(datasets):
    """One image of the series is coronal."""
    datasets[7].ImageOrientationPatient = [1, 0, 0, 0, 0, -1]


@defect(Stage.PLACES, Reason.MIXED_SLICES)
def one_turned_slice(datasets):
    """One image of the series is turned in its plane by 0.5°."""
    turn(datasets[7:8], Rotation.from_euler("z", 0.5, degrees=True))


@defect(Stage.PLACES, Reason.MIXED_SLICES)
def one_other_pixel_spacing(datasets):
    """One image has pixels of 0.8 mm, the others of 0.75 mm."""
    datasets[7].PixelSpacing = [0.8, 0.8]


@defect(Stage.PLACES, Reason.MIXED_SLICES)
def one_other_size(datasets):
    """One image has two rows less."""
    datasets[7].Rows -= 2


@defect(Stage.PLACES, Reason.MIXED_SLICES)
def two_frames_of_reference(datasets):
    """Half of the series belongs to another frame of reference."""
    for dataset in datasets[12:]:
        dataset.FrameOfReferenceUID = generate_uid(entropy_srcs=["another frame"])


@defect(Stage.PLACES, Reason.TOO_THICK_SLICES)
def thick_slices(datasets):
    """Slices are 5 mm apart."""
    stack(datasets, np.arange(len(datasets)) * 5.0)


@defect(Stage.PLACES, Reason.TOO_COARSE_PIXELS)
def coarse_pixels(datasets):
    """Pixels are 1.2 mm wide."""
    for dataset in datasets:
        dataset.PixelSpacing = [1.2, 1.2]


@defect(Stage.PLACES, Reason.TOO_FEW_SLICES)
def few_slices(datasets):
    """Ten slices are left."""
    del datasets[10:]


@defect(Stage.PLACES, Reason.TOO_FEW_SLICES)
def short_scan(datasets):
    """Slices are 1 mm apart, so that the scan is 24 mm long."""
    stack(datasets, np.arange(len(datasets)) * 1.0)


@defect(Stage.PLACES, Reason.TOO_FEW_SLICES)
def one_image(datasets):
    """One image is left."""
    del datasets[1:]
