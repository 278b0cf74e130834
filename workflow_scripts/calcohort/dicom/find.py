"""Find the series in a folder of DICOM: headers only, nothing is judged here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import CTImageStorage, MediaStorageDirectoryStorage

from calcohort.dicom.pseudonymise import file_label

KEYWORDS = (
    "SOPClassUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageType",
    "PatientID",
    "PatientName",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "NumberOfFrames",
    "Rows",
    "Columns",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SliceThickness",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "LossyImageCompression",
    "ConvolutionKernel",
    "KVP",
    "ContrastBolusAgent",
    "NominalPercentageOfCardiacPhase",
    "NominalInterval",
    "TriggerTime",
)
DICOM_SUFFIXES = {".dcm", ".ima"}


@dataclass(frozen=True)
class Image:
    """One DICOM file: its path, its label for sentences, and its header without pixels."""

    path: Path
    label: str
    header: Dataset


@dataclass(frozen=True)
class Series:
    """Images of one kind that share a SeriesInstanceUID (`uid` is empty where it is missing).

    `kind` is one of `axial`, `localizer`, `derived`, `not axial`, `multi-frame`, `no image`,
    `not CT`.
    """

    uid: str
    kind: str
    images: tuple[Image, ...]

    @property
    def first(self) -> Dataset:
        """Header of the first image by path."""
        return self.images[0].header


@dataclass(frozen=True)
class Found:
    """What a folder holds.

    Attributes
    ----------
    series : tuple of Series
        In the order of their first file.
    broken : tuple of (str, str)
        Label and SeriesInstanceUID (empty if it could not be read) of damaged DICOM files.
    ignored : int
        Number of files that are not DICOM.
    """

    series: tuple[Series, ...]
    broken: tuple[tuple[str, str], ...]
    ignored: int


def find_series(source: Path) -> Found:
    """Read the headers of all DICOM files under `source` and group them.

    Parameters
    ----------
    source : Path
        A folder, searched recursively, or one file. Hidden files are passed over.

    Returns
    -------
    Found
        Independent of the order in which the disk lists the files.
    """
    files = sorted(_files(source))
    groups: dict[tuple[str, str], list[Image]] = {}
    broken, ignored = [], 0
    for number, path in enumerate(files, start=1):
        label = file_label(path.name, number, len(files))
        header = _read_header(path)
        if header is None:
            ignored += 1
        elif _is_damaged(header):
            broken.append((label, text(header, "SeriesInstanceUID")))
        elif header.SOPClassUID != MediaStorageDirectoryStorage:
            group = (text(header, "SeriesInstanceUID"), _kind(header))
            groups.setdefault(group, []).append(Image(path, label, header))
    series = tuple(Series(uid, kind, tuple(images)) for (uid, kind), images in groups.items())
    return Found(series, tuple(broken), ignored)


def text(header: Dataset, keyword: str) -> str:
    """Return an element as text, values joined by a backslash, empty where it is missing."""
    value = header.get(keyword)
    if value is None:
        return ""
    parts = value if isinstance(value, pydicom.multival.MultiValue) else [value]
    return "\\".join(str(part) for part in parts).strip()


def numbers(header: Dataset, keyword: str, count: int = 1) -> np.ndarray | None:
    """Return the `count` numbers of an element, or None where they are missing or unusable."""
    try:
        values = np.array([float(v) for v in text(header, keyword).split("\\")])
    except ValueError:
        return None
    return values if values.size == count and np.isfinite(values).all() else None


def number(header: Dataset, keyword: str) -> float | None:
    """Return the single number of an element, or None."""
    values = numbers(header, keyword)
    return None if values is None else float(values[0])


def transfer_syntaxes(images: Iterable[Image]) -> str:
    """Names of the images' transfer syntaxes: how their pixels are encoded."""
    uids = {image.header.file_meta.get("TransferSyntaxUID", "") for image in images}
    return ", ".join(sorted(pydicom.uid.UID(uid).name for uid in uids))


def _files(source: Path) -> Iterator[Path]:
    if source.is_file():
        yield source
    for path in source.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(source).parts)
        if not hidden and path.is_file():
            yield path


def _read_header(path: Path) -> Dataset | None:
    """Header of a DICOM file, empty if it is damaged, None if the file is not DICOM."""
    try:
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(KEYWORDS))
    except InvalidDicomError:
        claims_dicom = path.suffix.lower() in DICOM_SUFFIXES or path.stat().st_size == 0
        return Dataset() if claims_dicom else None
    except (PermissionError, EOFError, ValueError, KeyError, AttributeError, NotImplementedError):
        return Dataset()
    header.SOPClassUID = header.file_meta.get("MediaStorageSOPClassUID") or header.get(
        "SOPClassUID"
    )
    return header


def _is_damaged(header: Dataset) -> bool:
    """Tell whether the header ends before it says what an image header must say."""
    sop_class, modality = header.get("SOPClassUID"), text(header, "Modality")
    is_ct = sop_class == CTImageStorage or (not sop_class and modality in ("", "CT"))
    return is_ct and "Rows" not in header


def _kind(header: Dataset) -> str:
    """Classify by Modality and Image Type (DICOM PS3.3, C.7.6.1.1.2 and C.8.2.1.1.1)."""
    image_type = text(header, "ImageType").upper().split("\\")
    if text(header, "Modality") != "CT":
        return "not CT"
    if "Rows" not in header:
        return "no image"
    if "LOCALIZER" in image_type:
        return "localizer"
    if {"DERIVED", "SECONDARY"} & set(image_type[:2]):
        return "derived"
    if (number(header, "NumberOfFrames") or 1) > 1:
        return "multi-frame"
    return "axial" if image_type[2:3] in ([], ["AXIAL"]) else "not axial"
