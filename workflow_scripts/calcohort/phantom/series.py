"""Write a volume as a DICOM series: one file a slice, as a scanner's export looks.

Patient coordinates in DICOM are LPS+ (x to the left, y to the back, z to the head), the affine of
`calcohort.volume` is RAS+. Rows and columns are stored as scanners do, columns towards the
patient's left and rows towards the back, so an upright scan has the ImageOrientationPatient
``1 0 0 0 1 0`` (DICOM PS3.3, C.7.6.2).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid
from pydicom.valuerep import DSfloat

from calcohort.outcomes import UserError
from calcohort.volume import Volume

RESCALE_INTERCEPT_HU = -1024
FIXED_DATE, FIXED_TIME = "20200101", "120000"
RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0])
STORAGE = {"CT": CTImageStorage, "MR": MRImageStorage}


@dataclass(frozen=True)
class Acquisition:
    """How the scan was made, as its headers tell it.

    Attributes
    ----------
    modality : str
        ``CT``, or ``MR`` for a scan that is not CT.
    kv : float
        Tube voltage in kV.
    kernel : str
        Reconstruction kernel.
    slice_thickness_mm : float or None
        Thickness of a slice; None means the distance between slices.
    contrast_agent : str
        Name of the contrast agent; empty when none was given.
    cardiac_phase_percent : float
        Phase of the reconstruction, percent of the RR interval.
    """

    modality: str = "CT"
    kv: float = 120.0
    kernel: str = "STANDARD"
    slice_thickness_mm: float | None = None
    contrast_agent: str = "OMNIPAQUE 350"
    cardiac_phase_percent: float = 75.0


def write_series(
    folder: Path,
    volume: Volume,
    *,
    patient_id: str,
    seed: int,
    acquisition: Acquisition | None = None,
) -> list[Path]:
    """Write `volume` as a DICOM series into `folder`, one file per slice.

    File names are shuffled against the slices' order, as exports often are. UIDs, dates and names
    depend on `patient_id`, `seed` and the modality alone, so the same volume gives the same bytes.

    Parameters
    ----------
    folder : Path
        Where the files ``IM0001``... go; made when missing.
    volume : Volume
        HU, integer, ``[k, j, i]``; its affine may be rotated or oblique but not sheared.
    patient_id : str
        Patient ID and name.
    seed : int
        Makes the UIDs and the file names' order.
    acquisition : Acquisition, optional
        What the headers tell of the scan.

    Returns
    -------
    list of Path
        The files in the order of ``k``.

    Raises
    ------
    UserError
        When the affine is sheared, or values do not fit 16 bits.
    """
    acquisition = acquisition or Acquisition()
    pixels = _stored_values(volume.array)
    pixels, affine = _as_scanners_store(pixels, RAS_TO_LPS @ volume.affine[:3])
    spacing_ijk_mm = np.linalg.norm(affine[:, :3], axis=0)
    directions = affine[:, :3] / spacing_ijk_mm
    if np.abs(directions.T @ directions - np.eye(3)).max() > 1e-4:
        raise UserError("a sheared affine cannot be a DICOM series: give one with orthogonal axes")

    sources = [patient_id, str(seed), acquisition.modality]
    dataset = _header(acquisition, patient_id, sources)
    dataset.Rows, dataset.Columns = pixels.shape[1:]
    dataset.PixelSpacing = _decimals(spacing_ijk_mm[[1, 0]])
    dataset.ImageOrientationPatient = _decimals(directions.T[:2].ravel())
    thickness_mm = acquisition.slice_thickness_mm or spacing_ijk_mm[2]
    dataset.SliceThickness, dataset.SpacingBetweenSlices = _decimals(
        [thickness_mm, spacing_ijk_mm[2]]
    )

    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    order = np.random.default_rng(seed).permutation(len(pixels)) + 1
    files = [folder / f"IM{number:04d}" for number in order]
    normal = np.cross(directions[:, 0], directions[:, 1])
    for k, path in enumerate(files):
        position_mm = affine[:, 2] * k + affine[:, 3]
        uid = generate_uid(entropy_srcs=[*sources, "image", str(k)])
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
        dataset.InstanceNumber = k + 1
        dataset.ImagePositionPatient = _decimals(position_mm)
        dataset.SliceLocation = _decimals([normal @ position_mm])[0]
        dataset.PixelData = pixels[k].tobytes()
        dataset.save_as(path, enforce_file_format=True)
    return files


def _stored_values(hu: np.ndarray) -> np.ndarray:
    low, high = -(2**15), 2**15 - 1 + RESCALE_INTERCEPT_HU
    if not np.issubdtype(hu.dtype, np.integer) or hu.min() < low or hu.max() > high:
        raise UserError(
            f"values {hu.min()} to {hu.max()} ({hu.dtype}) cannot be stored as DICOM: "
            f"give integers from {low} to {high} HU"
        )
    return hu.astype("<i2") - np.int16(RESCALE_INTERCEPT_HU)


def _as_scanners_store(pixels: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Flip columns and rows that run against LPS, in ``pixels[k, j, i]`` and `affine` (3, 4)."""
    affine = affine.copy()
    for column, axis in ((0, 2), (1, 1)):
        direction = affine[:, column]
        if direction[np.argmax(np.abs(direction))] < 0:
            affine[:, 3] += direction * (pixels.shape[axis] - 1)
            affine[:, column] = -direction
            pixels = np.flip(pixels, axis)
    return np.ascontiguousarray(pixels), affine


def _decimals(values) -> list[DSfloat]:
    """Round to the 16 characters of a DICOM decimal string; a zero has no sign."""
    return [DSfloat(float(value) + 0.0, auto_format=True) for value in values]


def _header(acquisition: Acquisition, patient_id: str, sources: list[str]) -> Dataset:
    """Return what all files of the series share."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = STORAGE[acquisition.modality]
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    for name in ("StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"):
        setattr(dataset, name, generate_uid(entropy_srcs=[*sources, name]))
    for part in ("Study", "Series", "Acquisition", "Content"):
        setattr(dataset, f"{part}Date", FIXED_DATE)
        setattr(dataset, f"{part}Time", FIXED_TIME)
    dataset.update(_PATIENT_AND_IMAGE)
    dataset.PatientID = dataset.PatientName = patient_id
    dataset.Modality = acquisition.modality
    phase = f"{acquisition.cardiac_phase_percent:g}%"
    dataset.SeriesDescription = f"Cardiac {acquisition.modality} phantom {phase}"
    dataset.NominalPercentageOfCardiacPhase = acquisition.cardiac_phase_percent
    if acquisition.contrast_agent:
        dataset.ContrastBolusAgent = acquisition.contrast_agent
    if acquisition.modality == "CT":
        dataset.KVP = acquisition.kv
        dataset.ConvolutionKernel = acquisition.kernel
        dataset.RescaleIntercept, dataset.RescaleSlope = RESCALE_INTERCEPT_HU, 1
        dataset.RescaleType = "HU"
    else:
        dataset.update(_MR_SEQUENCE)
    return dataset


def _dataset(**elements) -> Dataset:
    dataset = Dataset()
    for name, value in elements.items():
        setattr(dataset, name, value)
    return dataset


_PATIENT_AND_IMAGE = _dataset(
    SpecificCharacterSet="ISO_IR 100",
    ImageType=["ORIGINAL", "PRIMARY", "AXIAL"],
    Manufacturer="Calcohort",
    ManufacturerModelName="Phantom",
    BodyPartExamined="HEART",
    StudyDescription="Simulated cardiac scan, no patient",
    PatientBirthDate="",
    PatientSex="",
    AccessionNumber="",
    ReferringPhysicianName="",
    StudyID="1",
    SeriesNumber=1,
    AcquisitionNumber=1,
    PatientPosition="HFS",
    PositionReferenceIndicator="",
    SamplesPerPixel=1,
    PhotometricInterpretation="MONOCHROME2",
    BitsAllocated=16,
    BitsStored=16,
    HighBit=15,
    PixelRepresentation=1,
    WindowCenter=300,
    WindowWidth=1200,
)
_MR_SEQUENCE = _dataset(
    ScanningSequence="GR",
    SequenceVariant="SP",
    ScanOptions="",
    MRAcquisitionType="3D",
    RepetitionTime=3.4,
    EchoTime=1.5,
    EchoTrainLength=1,
)
