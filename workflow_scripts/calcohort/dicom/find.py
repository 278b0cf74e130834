"""Find the series in a folder of DICOM: headers only, nothing is judged here."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from calcohort.dicom.damage import DAMAGED, raise_machine_trouble
from calcohort.dicom.header import drop_unreadable, read_header, text, without_warnings
from calcohort.dicom.pseudonymise import file_label
from calcohort.dicom.walk import walk
from calcohort.outcomes import Excluded, Reason

KEYWORDS = (
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "Manufacturer",
    "ManufacturerModelName",
    "SoftwareVersions",
    "ImageType",
    "PatientID",
    "PatientName",
    "PatientAge",
    "PatientBirthDate",
    "StudyDate",
    "StudyTime",
    "SeriesDate",
    "AcquisitionDate",
    "AcquisitionDateTime",
    "ContentDate",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
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
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "BurnedInAnnotation",
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
ENHANCED_CT = (EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
DICOM_SUFFIXES = {".dcm", ".ima"}
DICOMDIR = "DICOMDIR"


@dataclass(frozen=True)
class Image:
    """One image of a DICOM file: its path, its label for sentences, its header without pixels.

    `frame` counts from 0 in a multi-frame file that was taken apart (`multiframe.py`).
    """

    path: Path
    label: str
    header: Dataset
    frame: int = 0


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


@without_warnings()
def find_series(source: Path | Iterable[Path]) -> Found:
    """Read the headers of all DICOM files under `source` and group them.

    Parameters
    ----------
    source : Path or iterable of Path
        A folder, searched recursively, one file, or the files. Hidden files of a folder are passed
        over. Of a DICOMDIR its folder is searched: the files' own headers are believed.

    Returns
    -------
    Found
        Independent of the order in which the disk lists the files.

    Raises
    ------
    Excluded
        `unreadable` when a folder may not be listed.
    """
    files = sorted(_files(source) if isinstance(source, Path) else source)
    groups: dict[tuple[str, str], list[Image]] = {}
    broken, ignored = [], 0
    for number, path in enumerate(files, start=1):
        label = file_label(path.name, number, len(files))
        header = _read_header(path)
        if header is None:
            ignored += 1
        elif is_damaged(header):
            broken.append((label, text(header, "SeriesInstanceUID")))
        elif header.get("SOPClassUID") != MediaStorageDirectoryStorage:
            group = (text(header, "SeriesInstanceUID"), kind_of(header))
            groups.setdefault(group, []).append(Image(path, label, header))
    series = tuple(Series(uid, kind, tuple(images)) for (uid, kind), images in groups.items())
    return Found(series, tuple(broken), ignored)


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
    uids = {text(image.header.file_meta, "TransferSyntaxUID") for image in images}
    return ", ".join(sorted(pydicom.uid.UID(uid).name for uid in uids))


def _files(source: Path) -> Iterator[Path]:
    if source.name.upper() == DICOMDIR:
        source = source.parent
    if source.is_file():
        yield source
        return
    for folder in walk(str(source)):
        if not folder.readable:
            raise Excluded(Reason.UNREADABLE, "a folder of the scan may not be read")
        yield from (Path(folder.path, name) for name in (*folder.files, *folder.archives))


def _read_header(path: Path) -> Dataset | None:
    """Header of a DICOM file, empty if it is damaged, None if the file is not DICOM.

    An element whose value cannot be understood counts as missing.
    """
    try:
        with path.open("rb") as stream:
            header = read_header(stream, KEYWORDS)
    except InvalidDicomError:
        return Dataset() if claims_dicom(path.name, path.stat().st_size) else None
    except DAMAGED as error:
        raise_machine_trouble(error)
        return Dataset()
    drop_unreadable(header.file_meta)
    drop_unreadable(header)
    set_class(header)
    return header


def claims_dicom(name: str, size: int) -> bool:
    """Tell whether a file that is no DICOM ought to be: by its name, or because it is empty."""
    return size == 0 or Path(name).suffix.lower() in DICOM_SUFFIXES


def set_class(header: Dataset) -> None:
    """Take the SOP class from the file's meta information where that names it."""
    named = text(header.file_meta, "MediaStorageSOPClassUID") or text(header, "SOPClassUID")
    header.pop("SOPClassUID", None)
    if named:
        header.SOPClassUID = named


def is_damaged(header: Dataset) -> bool:
    """Tell whether the header ends before it says what an image header must say."""
    sop_class, modality = header.get("SOPClassUID"), text(header, "Modality")
    is_ct = sop_class == CTImageStorage or (not sop_class and modality in ("", "CT"))
    return is_ct and "Rows" not in header


def kind_of(header: Dataset) -> str:
    """Classify an image by Modality and Image Type (DICOM PS3.3, C.7.6.1.1.2 and C.8.2.1.1.1)."""
    image_type = text(header, "ImageType").upper().split("\\")
    if text(header, "Modality") != "CT":
        return "not CT"
    if "Rows" not in header:
        return "no image"
    if "LOCALIZER" in image_type:
        return "localizer"
    if {"DERIVED", "SECONDARY"} & set(image_type[:2]):
        return "derived"
    enhanced = header.get("SOPClassUID") in ENHANCED_CT and "NumberOfFrames" in header
    if enhanced or (number(header, "NumberOfFrames") or 1) > 1:
        return "multi-frame"
    return "axial" if image_type[2:3] in ([], ["AXIAL"]) else "not axial"
