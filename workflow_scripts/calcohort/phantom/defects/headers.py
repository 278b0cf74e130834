"""Defects of what headers say of the places, the kind and the identity of images."""

from copy import deepcopy

from pydicom.dataset import Dataset
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage, generate_uid

from calcohort.outcomes import Reason
from calcohort.phantom.defects.places import place, put
from calcohort.phantom.defects.scan import Stage, defect, stored


def set_raw(dataset: Dataset, keyword: str, vr: str, value: object) -> None:
    """Set an element as it would stand in a file, whatever its VR should be."""
    dataset.add_new(keyword, vr, value)


def renamed(dataset: Dataset, name: str) -> Dataset:
    """Return a copy with an instance UID of its own."""
    copied = deepcopy(dataset)
    uid = generate_uid(entropy_srcs=[name, str(dataset.SOPInstanceUID)])
    copied.SOPInstanceUID = copied.file_meta.MediaStorageSOPInstanceUID = uid
    return copied


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def no_positions(datasets):
    """No image has a position."""
    for dataset in datasets:
        del dataset.ImagePositionPatient


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def one_missing_position(datasets):
    """One image has no position."""
    del datasets[4].ImagePositionPatient


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def empty_position(datasets):
    """One image's position is empty."""
    datasets[4].ImagePositionPatient = None


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def position_in_words(datasets):
    """One image's position is no number."""
    set_raw(datasets[4], "ImagePositionPatient", "LO", ["left", "0", "0"])


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def position_not_a_number(datasets):
    """One image's position holds NaN."""
    set_raw(datasets[4], "ImagePositionPatient", "LO", ["0", "0", "nan"])


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def position_of_two_values(datasets):
    """One image's position lacks its third value."""
    datasets[4].ImagePositionPatient = datasets[4].ImagePositionPatient[:2]


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def no_orientation(datasets):
    """No image has an orientation."""
    for dataset in datasets:
        del dataset.ImageOrientationPatient


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def impossible_orientation(datasets):
    """Rows and columns run the same way."""
    for dataset in datasets:
        dataset.ImageOrientationPatient = [1, 0, 0, 1, 0, 0]


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def no_pixel_spacing(datasets):
    """No image has a pixel spacing."""
    for dataset in datasets:
        del dataset.PixelSpacing


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def pixel_spacing_of_zero(datasets):
    """Pixel spacing is 0."""
    for dataset in datasets:
        dataset.PixelSpacing = [0, 0]


@defect(Stage.DATASETS, Reason.NO_PIXEL_SPACING)
def negative_pixel_spacing(datasets):
    """Pixel spacing is negative."""
    for dataset in datasets:
        dataset.PixelSpacing = [-0.75, 0.75]


@defect(Stage.DATASETS)
def wrong_slice_thickness(datasets):
    """Slice thickness and spacing between slices are 10 mm, positions 1.5 mm apart."""
    for dataset in datasets:
        dataset.SliceThickness = dataset.SpacingBetweenSlices = 10


@defect(Stage.DATASETS)
def wrong_gantry_tilt(datasets):
    """Gantry tilt is 15°, positions say none."""
    for dataset in datasets:
        dataset.GantryDetectorTilt = 15


@defect(Stage.DATASETS)
def wrong_slice_location(datasets):
    """Slice location is the same everywhere."""
    for dataset in datasets:
        dataset.SliceLocation = 0


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES, repairs="identical_duplicates")
def one_image_twice(datasets):
    """One image is there twice, under two instance UIDs."""
    datasets.append(renamed(datasets[3], "twice"))


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES, repairs="identical_duplicates")
def every_image_twice(datasets):
    """Every file is stored twice."""
    datasets += [deepcopy(dataset) for dataset in datasets]


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES)
def one_place_twice(datasets):
    """Two images at one position differ in one pixel."""
    other = renamed(datasets[3], "other")
    values = stored(other)
    values[5, 7] += 1
    other.PixelData = values.tobytes()
    datasets.append(other)


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES)
def two_reconstructions(datasets):
    """A second reconstruction of every slice has the same series UID."""
    datasets += other_pixels(datasets)


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES, repairs="phases")
def two_phases(datasets):
    """The series holds the phases 35 % and 75 %, named by the nominal percentage."""
    other = other_pixels(datasets)
    for dataset in other:
        dataset.NominalPercentageOfCardiacPhase = 35
    datasets += other


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES, repairs="phases")
def two_phases_by_trigger_time(datasets):
    """The same, named by trigger time over nominal interval."""
    other = other_pixels(datasets)
    for dataset, trigger_ms in [(d, 750) for d in datasets] + [(d, 350) for d in other]:
        del dataset.NominalPercentageOfCardiacPhase
        dataset.TriggerTime, dataset.NominalInterval = trigger_ms, 1000
    datasets += other


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES)
def two_phases_without_a_name(datasets):
    """The series holds two phases that only the acquisition number tells apart."""
    other = other_pixels(datasets)
    for dataset in other:
        dataset.AcquisitionNumber = 2
    datasets += other


@defect(Stage.DATASETS, Reason.DUPLICATE_SLICES)
def second_phase_incomplete(datasets):
    """The second phase of the series lacks some slices: phases are not told apart."""
    other = other_pixels(datasets)[:20]
    for dataset in other:
        dataset.NominalPercentageOfCardiacPhase = 35
    datasets += other


def other_pixels(datasets: list[Dataset]) -> list[Dataset]:
    """Return copies of images with other values at the same places."""
    copies = [renamed(dataset, "other") for dataset in datasets]
    for dataset in copies:
        dataset.PixelData = (stored(dataset) + 40).tobytes()
    return copies


@defect(Stage.DATASETS)
def localizer_in_the_series(datasets):
    """Two localizers have the series' UID; they are set aside."""
    for k in (0, 1):
        localizer = renamed(datasets[k], "localizer")
        localizer.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        put(localizer, place(localizer) + 100)
        datasets.append(localizer)


@defect(Stage.DATASETS, Reason.NO_AXIAL_SERIES)
def only_localizers(datasets):
    """All images are localizers."""
    for dataset in datasets:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]


@defect(Stage.DATASETS, Reason.NO_AXIAL_SERIES)
def derived_images(datasets):
    """All images are derived."""
    for dataset in datasets:
        dataset.ImageType = ["DERIVED", "SECONDARY", "MPR"]


@defect(Stage.DATASETS, Reason.NOT_CT)
def mr_images(datasets):
    """The images are MR."""
    for dataset in datasets:
        dataset.Modality = "MR"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage


@defect(Stage.DATASETS, Reason.NOT_CT)
def secondary_capture(datasets):
    """The images call themselves original CT, but are stored as secondary captures."""
    for dataset in datasets:
        dataset.SOPClassUID = SecondaryCaptureImageStorage
        dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage


@defect(Stage.DATASETS, Reason.BURNED_IN)
def burned_in_annotation(datasets):
    """One header says that annotation is burned into the pixels."""
    datasets[2].BurnedInAnnotation = "YES"


@defect(Stage.DATASETS, Reason.NOT_CONVERTIBLE)
def frames_without_groups(datasets):
    """One file of single CT claims to hold 24 frames."""
    first = datasets[0]
    first.NumberOfFrames = len(datasets)
    first.PixelData = b"".join(dataset.PixelData for dataset in datasets)
    del datasets[1:]


@defect(Stage.DATASETS, Reason.MIXED_PATIENTS)
def two_patients(datasets):
    """Half of the files name another patient."""
    for dataset in datasets[12:]:
        dataset.PatientID = dataset.PatientName = "another"


@defect(Stage.DATASETS)
def no_series_uid(datasets):
    """No file has a series or study UID."""
    for dataset in datasets:
        del dataset.SeriesInstanceUID, dataset.StudyInstanceUID


@defect(Stage.DATASETS)
def one_instance_uid_for_all(datasets):
    """All files have the same instance UID."""
    for dataset in datasets:
        dataset.SOPInstanceUID = datasets[0].SOPInstanceUID
        dataset.file_meta.MediaStorageSOPInstanceUID = datasets[0].SOPInstanceUID


@defect(Stage.DATASETS)
def acquisitions_of_one_scan(datasets):
    """Acquisition number, time and exposure change between slices."""
    for k, dataset in enumerate(datasets):
        dataset.AcquisitionNumber, dataset.AcquisitionTime = 1 + k // 8, f"1200{k:02d}"
        dataset.Exposure = 100 + k


@defect(Stage.DATASETS, Reason.UNREADABLE)
def no_rows(datasets):
    """Rows is 0 in all images."""
    for dataset in datasets:
        dataset.Rows = 0


@defect(Stage.DATASETS, Reason.UNREADABLE)
def more_rows_than_pixels(datasets):
    """Rows is 200, the pixel data those of 40 rows."""
    for dataset in datasets:
        dataset.Rows = 200


@defect(Stage.DATASETS, Reason.NOT_CONVERTIBLE)
def billions_of_voxels(datasets):
    """Rows and Columns are 30,000 in small files."""
    for dataset in datasets:
        dataset.Rows = dataset.Columns = 30000
