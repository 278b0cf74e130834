"""De-identified DICOM of chosen series, by the Basic Application Level Confidentiality Profile.

The profile (DICOM PS3.15, annex E) is applied by `grand-challenge-dicom-de-identifier`, whose
procedure names what is kept of a CT image and removes everything else, private elements included.
Added here: keyed UIDs in the place of random ones, the study's patient hash and dates, and a few
elements that the profile (table E.1-1) does not list and a CT is chosen and read by.
"""

import copy
import functools
import shutil
from importlib.metadata import version
from pathlib import Path

import pydicom
from grand_challenge_dicom_de_id_procedure import procedure
from grand_challenge_dicom_de_identifier.deidentifier import DicomDeidentifier
from pydicom.config import RAISE
from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.multival import MultiValue
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage
from pydicom.valuerep import validate_value

from calcohort.dicom.choose import choose_series
from calcohort.dicom.dates import SHIFT, shifted
from calcohort.dicom.find import Image, find_series, text
from calcohort.dicom.pseudonymise import keyed_hash, keyed_uid
from calcohort.dicom.rule import DEFAULT_RULE
from calcohort.outcomes import Excluded, UserError

KEPT_TOO = (
    "ManufacturerModelName",
    "ConvolutionKernel",
    "SpacingBetweenSlices",
    "NominalPercentageOfCardiacPhase",
    "NominalInterval",
    "TriggerTime",
    "LossyImageCompression",
)
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate")
BLANK = ("StudyDate", "StudyTime", "ContentDate", "PatientName", "PatientBirthDate")
PROFILE = ("113100", "Basic Application Confidentiality Profile")
MODIFIED_DATES = (
    "113107",
    "Retain Longitudinal Temporal Information Modified Dates Option",
)
CHECKED = frozenset({"AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI"})
OVERLAY_GROUPS = range(0x6000, 0x6020, 2)
LIBRARY = "grand-challenge-dicom-de-identifier"


def export_series(
    source: Path | list[Path], folder: Path, *, series_hash: str, key: bytes, dates: str
) -> int:
    """Write one series without identity, its pixels bit for bit.

    Parameters
    ----------
    source : Path
        Folder of DICOM, or one file.
    folder : Path
        Where the files `00001.dcm`... go, in the order of the source's paths; it must not exist.
        Nothing is left there when the series is refused.
    series_hash : str
        Pseudonym of the series, of the scan's `series.json`.
    key : bytes
        The study's secret.
    dates : str
        With `shift` the dates are moved as in `series.json`, else they are removed.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    UserError
        When the series is not in the source, the folder exists, or an image is of a kind that
        cannot be de-identified: not single-frame CT, or with text burned into its pixels.
    """
    images = _images(source, series_hash, key)
    folder = Path(folder)
    if folder.exists():
        raise UserError(f"{folder} exists; delete it to export the scan again")
    writing = folder.with_name(f".{folder.name}.exporting")
    shutil.rmtree(writing, ignore_errors=True)
    writing.mkdir(parents=True)
    try:
        for number, image in enumerate(images, start=1):
            dataset = pydicom.dcmread(image.path)
            _refuse(dataset, image.label)
            deidentify(dataset, key, dates)
            dataset.save_as(writing / f"{number:05d}.dcm", enforce_file_format=True)
        writing.rename(folder)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return len(images)


def deidentify(dataset: Dataset, key: bytes, dates: str) -> None:
    """Apply the profile to a CT image, in place."""
    patient_id = text(dataset, "PatientID")
    told = {name: shifted(text(dataset, name), key, patient_id) for name in DATES}
    deidentifier = DicomDeidentifier(procedure=_procedure())
    deidentifier.uid_map = _KeyedUids(key)
    deidentifier.deidentify_dataset(dataset)
    dataset.walk(_drop_invalid)
    for keyword in BLANK:
        setattr(dataset, keyword, "")
    dataset.PatientID = keyed_hash(key, "patient", patient_id) or ""
    methods = [PROFILE]
    if dates == SHIFT:
        for keyword, day in told.items():
            if day:
                setattr(dataset, keyword, day)
        methods.append(MODIFIED_DATES)
    dataset.LongitudinalTemporalInformationModified = "MODIFIED" if dates == SHIFT else "REMOVED"
    dataset.DeidentificationMethod = [
        "DICOM PS3.15 E.2, Basic Application Level Confidentiality",
        f"{LIBRARY} {version(LIBRARY)}",
        f"its procedure {procedure['version']}",
    ]
    dataset.DeidentificationMethodCodeSequence = [_code(*method) for method in methods]
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = dataset.file_meta.TransferSyntaxUID
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta, dataset.preamble = meta, bytes(128)


def _drop_invalid(dataset: Dataset, element: DataElement) -> None:
    """Delete an element that does not hold what its type says, such as a name for a number."""
    if element.VR not in CHECKED:
        return
    values = element.value if element.VM > 1 else [element.value]
    try:
        for value in values:
            validate_value(element.VR, str(value or ""), RAISE)
    except ValueError:
        del dataset[element.tag]


class _KeyedUids:
    """Takes the place of the library's map of random UIDs."""

    def __init__(self, key: bytes) -> None:
        self.key = key

    def __getitem__(self, uid: str | MultiValue | None) -> str | list[str] | None:
        if isinstance(uid, MultiValue):
            return [self[one] for one in uid]
        return keyed_uid(self.key, uid) if uid else uid


@functools.cache
def _procedure() -> dict:
    ours = copy.deepcopy(procedure)
    for keyword in KEPT_TOO:
        tag = str(Tag(tag_for_keyword(keyword)))
        ours["sopClass"][CTImageStorage]["tag"][tag] = {"default": "K"}
    return ours


def _images(source: Path | list[Path], series_hash: str, key: bytes) -> tuple[Image, ...]:
    found = find_series(source)
    uids = {series.uid for series in found.series}
    uid = next((uid for uid in uids if keyed_hash(key, "series", uid) == series_hash), None)
    if uid is None:
        raise UserError("the series that was converted is not in the source any more")
    try:
        return choose_series(found, uid, DEFAULT_RULE, key).series.images
    except Excluded as problem:
        raise UserError(problem.detail) from problem


def _refuse(dataset: Dataset, label: str) -> None:
    if dataset.get("SOPClassUID") != CTImageStorage:
        raise UserError(f"{label} is not a single-frame CT image, for which alone the profile is")
    if text(dataset, "BurnedInAnnotation").upper() == "YES":
        raise UserError(f"{label} says that text is burned into its pixels (Burned In Annotation)")
    positions = (dataset.get((group, 0x0102)) for group in OVERLAY_GROUPS)
    if any(position and position.value for position in positions):
        raise UserError(f"{label} has an overlay inside its pixels, which may be text")


def _code(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
    return item
