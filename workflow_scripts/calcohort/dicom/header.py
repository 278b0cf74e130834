"""Read the header of a DICOM file, or of a member of an archive, within bounded memory.

The beginning of the file is read, and more of it only where the header goes on: an element that
claims gigabytes costs nothing, and pixels are never read.
"""

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

from pydicom.config import disable_value_validation
from pydicom.datadict import dictionary_has_tag, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_dataset, read_partial
from pydicom.multival import MultiValue
from pydicom.uid import DeflatedExplicitVRLittleEndian

from calcohort.dicom.damage import DAMAGED

PREAMBLE_BYTES = 128
FIRST_BYTES = 16 * 1024
MOST_BYTES = 16 * 1024**2
GROWTH = 32
PLAIN_TEXT = {"AE", "CS", "DA", "DS", "DT", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "UT"}


@contextmanager
def without_warnings() -> Iterator[None]:
    """Keep pydicom from warning of odd values: what matters is judged, and they may be names."""
    with warnings.catch_warnings(), disable_value_validation():
        warnings.simplefilter("ignore")
        yield


def read_header(stream: BinaryIO, keywords: Sequence[str]) -> FileDataset:
    """Read some elements of a DICOM header.

    Parameters
    ----------
    stream : binary stream
        At the beginning of the file.
    keywords : sequence of str
        The elements wanted, none of them after the pixels.

    Returns
    -------
    FileDataset
        Those that the header has, and its `file_meta`. A header that ends early has fewer.

    Raises
    ------
    InvalidDicomError
        When the file is not DICOM: no ``DICM`` after its preamble.
    One of DAMAGED
        When the header cannot be read, or has more than MOST_BYTES; an OSError may be the machine's
        (`raise_machine_trouble`).
    """
    tags = [tag_for_keyword(keyword) for keyword in keywords]
    data = stream.read(FIRST_BYTES)
    if data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4] != b"DICM":
        raise InvalidDicomError("no DICM after the preamble")
    size = FIRST_BYTES
    while True:
        whole = len(data) < size
        try:
            header, ended = _parse(data, tags)
        except DAMAGED:
            if whole:
                raise
            ended = False
        if ended or whole:
            return header
        if size >= MOST_BYTES:
            raise EOFError(f"the header has more than {MOST_BYTES} bytes")
        size *= GROWTH
        data += stream.read(size - len(data))


def text(header: Dataset, keyword: str) -> str:
    """Return an element as text, values joined by a backslash, empty if missing or unusable."""
    tag = tag_for_keyword(keyword)
    element = header.get_item(tag)
    if element is None:
        return ""
    raw = element.value
    if isinstance(raw, bytes) and raw.isascii() and b"\x1b" not in raw:
        if (element.VR or dictionary_VR(tag)) in PLAIN_TEXT:
            parts = raw.decode("ascii").split("\\")
            return "\\".join(part.strip(" \0") for part in parts).strip()
    try:
        with without_warnings():
            value = header[tag].value
    except DAMAGED:
        return ""
    if value is None:
        return ""
    parts = value if isinstance(value, MultiValue) else [value]
    return "\\".join(str(part) for part in parts).strip()


def drop_unreadable(header: Dataset) -> None:
    """Remove the elements whose value cannot be understood: they count as missing.

    So do those of another kind than the standard's: a number in place of a text may be any number.
    """
    for tag in list(header.keys()):
        try:
            str(header[tag].value)
            understood = _is_standard(header[tag].VR, tag)
        except DAMAGED:
            understood = False
        if not understood:
            del header[tag]


def _is_standard(vr: str, tag: int) -> bool:
    """Tell whether an element has the standard's kind of value, or another kind of plain text."""
    if not dictionary_has_tag(tag):
        return True
    expected = dictionary_VR(tag)
    return vr in expected.split(" or ") or (vr != "PN" and {vr, expected} <= PLAIN_TEXT)


def _parse(data: bytes, tags: list[int]) -> tuple[FileDataset, bool]:
    """Read the elements `tags` from a file's beginning; tell whether all of them have been met."""
    last, ended = max(tags), []

    def stop_when(tag: int, *_) -> bool:
        if int.__gt__(tag, last):  # pydicom's own comparison of tags is slow
            ended.append(True)
        return bool(ended)

    stream = io.BytesIO(data)
    if DeflatedExplicitVRLittleEndian.encode() not in data[: PREAMBLE_BYTES + 1024]:
        return read_partial(stream, stop_when, specific_tags=tags), bool(ended)
    (length,) = struct.unpack_from("<I", data, PREAMBLE_BYTES + 12)
    start = PREAMBLE_BYTES + 16 + length
    meta = read_partial(io.BytesIO(data[:start])).file_meta
    inflated = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data[start:], MOST_BYTES)
    elements = read_dataset(
        io.BytesIO(inflated), False, True, stop_when=stop_when, specific_tags=tags
    )
    return FileDataset(stream, elements, file_meta=FileMetaDataset(meta)), bool(ended)
