"""Small DICOM series with known pixels and places, for the tests of `calcohort.dicom`."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

AXIAL = (1, 0, 0, 0, 1, 0)
ORIGIN_MM = (-5.0, -7.0, -30.0)
SLICES, ROWS, COLUMNS = 10, 16, 20
PATIENT, NAME, HOSPITAL = "MRN-424242", "Doe^Jane", "Saint Nowhere"
KEY = b"a key of the tests, which nobody else has"


def uid(*sources: str) -> str:
    """Return a UID that depends on `sources` alone."""
    return generate_uid(entropy_srcs=list(sources))


def along_normal(slices: int = SLICES, spacing_mm: float = 2.0, iop: Sequence[float] = AXIAL):
    """Positions (n, 3) in LPS mm of evenly stacked slices."""
    normal = np.cross(iop[:3], iop[3:])
    return np.array(ORIGIN_MM) + np.arange(slices)[:, None] * spacing_mm * normal


def stored_pixels(slices: int, seed: int = 0) -> np.ndarray:
    """Random stored values 0…3000, which with intercept −1024 hold air and soft tissue."""
    return np.random.default_rng(seed).integers(0, 3000, (slices, ROWS, COLUMNS))


def write_series(
    folder: Path,
    label: str = "a",
    *,
    positions: np.ndarray | None = None,
    iop: Sequence[float] = AXIAL,
    pixels: np.ndarray | None = None,
    names: Sequence[str] | None = None,
    **elements,
) -> list[Path]:
    """Write one CT series, a file for each position.

    `label` names the series and goes into its UID. `elements` set header elements by keyword:
    a value, None to leave the element out, or a function of the slice's index.
    """
    positions = along_normal(iop=iop) if positions is None else np.asarray(positions, dtype=float)
    pixels = stored_pixels(len(positions)) if pixels is None else pixels
    names = names or [f"{label}{k:04d}.dcm" for k in range(len(positions))]
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for k, (position, name) in enumerate(zip(positions, names, strict=True)):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        header = _header(label, k, position, iop, pixels[k])
        for keyword, value in elements.items():
            value = value(k) if callable(value) else value
            if value is None:
                delattr(header, keyword)
            else:
                setattr(header, keyword, value)
        header.file_meta.MediaStorageSOPClassUID = header.get("SOPClassUID", CTImageStorage)
        header.save_as(path, enforce_file_format=True)
        paths.append(path)
    return paths


def _header(label, k, position, iop, pixels) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPInstanceUID = uid(label, str(k))
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.SOPClassUID = CTImageStorage
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    header.Modality, header.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    header.Manufacturer, header.ManufacturerModelName = "Maker", "Scanner"
    header.PatientID, header.PatientName, header.InstitutionName = PATIENT, NAME, HOSPITAL
    header.StudyDate = "20190517"
    header.StudyInstanceUID, header.FrameOfReferenceUID = uid("study"), uid("frame")
    header.SeriesInstanceUID, header.SeriesNumber, header.InstanceNumber = uid(label), 2, k + 1
    header.KVP, header.ConvolutionKernel, header.SliceThickness = 120, "B26f", 3
    header.Rows, header.Columns = pixels.shape
    header.PixelSpacing = [0.5, 0.75]
    header.ImagePositionPatient = [f"{x:.7f}" for x in position]
    header.ImageOrientationPatient = [f"{x:.9f}" for x in iop]
    header.RescaleSlope, header.RescaleIntercept, header.RescaleType = 1, -1024, "HU"
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = int(pixels.min() < 0)
    header.PixelData = pixels.astype("<i2" if header.PixelRepresentation else "<u2").tobytes()
    return header
