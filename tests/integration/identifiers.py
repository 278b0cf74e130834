"""Patients of the tests, with identifiers wherever DICOM can hold them, and the search for them."""

import base64
import contextlib
import gzip
import html
import io
import json
import re
import urllib.parse
import zipfile
from pathlib import Path

import numpy as np
import pydicom
from calcohort import volume
from calcohort.phantom.series import Acquisition, write_series
from cohort_of_boxes import AFFINE, DEPOSITS, ROOT, SHAPE
from dicomanonymizer.dicom_anonymization_databases import dicomfields_2024b as table_e11
from PIL import Image
from pydicom.datadict import dictionary_VR, keyword_for_tag
from pydicom.dataset import Dataset

SECRET = "Quarxfeldt"
UID_ROOT = "1.2.826.0.1.7777.31415"
NAME = "Zörgiebelová^Þórdís=山田^太郎=やまだ^たろう"
FOLDER = "Zwölfklein, Jane (19310213)"
PLAIN = "Mustervoll"
IDENTIFIERS = (
    SECRET,
    UID_ROOT,
    "Zörgiebelová",
    "Þórdís",
    "山田",
    "太郎",
    "やまだ",
    "たろう",
    "Zwölfklein",
    PLAIN,
    "MRN-Q7X4-990017",
    "ACC-77Z1-42",
    "19310213",
    "1931-02-13",
    "20190517",
    "2019-05-17",
)
VALUES = {
    "CS": SECRET.upper(),
    "DA": "19310213",
    "TM": "031415",
    "DT": "19310213031415",
    "UI": f"{UID_ROOT}.9",
    "AS": "088Y",
    "UR": f"http://{SECRET}.example",
    "AT": 0x00100010,
    "DS": "98765.25",
    "IS": "987654",
}
NUMBERS = {"FL", "FD", "US", "SS", "UL", "SL", "UV", "SV"}
FORMS = ("utf-8", "latin-1", "utf-16-le", "utf-16-be", "shift_jis", "iso2022_jp", "euc_jp")


def elements_of_the_profile() -> dict:
    """A telling value for every attribute of table E.1-1 (PS3.15) that an image can hold."""
    elements = {}
    for tag in table_e11.ALL_TAGS:
        keyword = keyword_for_tag(tag) if len(tag) == 2 else ""
        if not keyword or tag[0] in (0x0000, 0x0002, 0xFFFA, 0xFFFC) or keyword == "PixelData":
            continue
        vr = dictionary_VR(tag)
        if vr == "SQ":
            item = Dataset()
            item.PatientName, item.ReferencedSOPInstanceUID = f"{SECRET}^X", VALUES["UI"]
            elements[keyword] = [item]
        elif vr in NUMBERS:
            elements[keyword] = 9876
        elif vr.startswith("O") or vr == "UN":
            elements[keyword] = SECRET.encode()
        else:
            elements[keyword] = VALUES.get(vr, SECRET)
    return elements


def identify(path: Path, label: str, number: int) -> None:
    """Put identifiers into a DICOM file: listed elements, private ones, UIDs, its own header."""
    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for keyword, value in elements_of_the_profile().items():
        setattr(dataset, keyword, value)
    dataset.PatientName, dataset.PatientID = NAME, "MRN-Q7X4-990017"
    dataset.AccessionNumber, dataset.PatientBirthDate = "ACC-77Z1-42", "19310213"
    dataset.ContrastBolusAgent = f"{SECRET} 350"
    for keyword in ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate"):
        setattr(dataset, keyword, "20190517")
    dataset.StudyInstanceUID = f"{UID_ROOT}.1"
    dataset.SeriesInstanceUID = f"{UID_ROOT}.2.{sum(map(ord, label))}"
    dataset.FrameOfReferenceUID = f"{UID_ROOT}.3"
    dataset.SOPInstanceUID = f"{dataset.SeriesInstanceUID}.{number}"
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.SourceApplicationEntityTitle = SECRET
    dataset.private_block(0x0009, SECRET, create=True).add_new(1, "LO", SECRET)
    dataset.preamble = SECRET.encode().ljust(128, b"\0")
    dataset.save_as(path)


def write_identified(folder: Path, label: str, lumen_hu: int) -> list[Path]:
    """Write the box phantom as the DICOM of a named patient; file names name the patient too."""
    hu = np.full(SHAPE, -1000, np.int16)
    hu[4:60, 8:72, 8:72] = 40
    hu[ROOT] = lumen_hu
    k, j, i = DEPOSITS["large"]
    hu[13 : 13 + k, 22 : 22 + j, 22 : 22 + i] = 1200
    acquisition = Acquisition(contrast_agent=SECRET)
    paths = write_series(
        folder, volume.Volume(hu, AFFINE), patient_id=PLAIN, seed=1, acquisition=acquisition
    )
    named = []
    for number, path in enumerate(paths, start=1):
        identify(path, label, number)
        named.append(path.rename(path.with_name(f"{PLAIN}_{number:04d}.dcm")))
    return named


def found_in(folder: Path) -> dict[str, set[str]]:
    """Search every byte and every name under a folder for the identifiers.

    Compressed and embedded content is searched unpacked too: gzip, zip (npz), PNG texts, base64
    of `data:` addresses.

    Returns
    -------
    dict
        Path to the identifiers found in it.
    """
    needles = {form: identifier for identifier in IDENTIFIERS for form in _forms(identifier)}
    hits = {}
    for path in sorted(folder.rglob("*")):
        contents = [str(path.relative_to(folder)).encode()]
        if path.is_symlink():
            contents.append(str(path.readlink()).encode())
        elif path.is_file():
            contents += _contents(path.read_bytes())
        folded = [content.lower() for content in contents]
        hit = {word for form, word in needles.items() for content in folded if form in content}
        if hit:
            hits[str(path.relative_to(folder))] = hit
    return hits


def _forms(identifier: str) -> set[bytes]:
    spelt = {
        identifier,
        json.dumps(identifier)[1:-1],
        html.escape(identifier),
        identifier.encode("ascii", "xmlcharrefreplace").decode(),
        urllib.parse.quote(identifier),
    }
    forms = set()
    for text in spelt:
        for form in FORMS:
            try:
                forms.add(text.encode(form).lower())
            except UnicodeEncodeError:
                continue
    return forms


def _contents(content: bytes) -> list[bytes]:
    found = [content]
    if content[:2] == b"\x1f\x8b":
        found += [content[:600], *_contents(gzip.decompress(content))]
    elif content[:4] == b"PK\x03\x04":
        with contextlib.suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as file:
            for name in file.namelist():
                found += [name.encode(), *_contents(file.read(name))]
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        found.append(json.dumps(str(Image.open(io.BytesIO(content)).info)).encode())
    for encoded in re.findall(rb"data:[\w/+.-]+;base64,([A-Za-z0-9+/=\s]+)", content):
        found += _contents(base64.b64decode(encoded))
    return found
