"""Read headers of a folder's files or an archive's members: the work of the index's processes."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

from pydicom.datadict import tag_for_keyword
from pydicom.dataset import FileDataset
from pydicom.errors import InvalidDicomError
from pydicom.uid import MediaStorageDirectoryStorage

from calcohort.dicom.archive import DAMAGE, is_archive, members
from calcohort.dicom.damage import DAMAGED as DAMAGED_HEADER
from calcohort.dicom.damage import raise_machine_trouble
from calcohort.dicom.facts import Facts, facts_of
from calcohort.dicom.find import (
    DICOMDIR,
    KEYWORDS,
    claims_dicom,
    is_damaged,
    numbers,
    set_class,
    text,
)
from calcohort.dicom.header import read_header, without_warnings
from calcohort.outcomes import Excluded

IMAGE, OTHER, DAMAGED, UNREADABLE, NESTED = range(5)
STATES = {
    "images": IMAGE,
    "not_dicom": OTHER,
    "damaged": DAMAGED,
    "unreadable": UNREADABLE,
    "nested_archives": NESTED,
}
SAID = {
    DAMAGED: "DICOM with a damaged header, or no DICOM though named so",
    UNREADABLE: "file not readable",
    NESTED: "an archive in an archive, not opened",
}
OF_ONE_IMAGE = {tag_for_keyword("SOPInstanceUID"), tag_for_keyword("ImagePositionPatient")}
MOST_FACTS = 1000
MOST_ARCHIVE_BYTES = 1e12


@dataclass(frozen=True)
class Read:
    """What was found in a file.

    Attributes
    ----------
    name : str
        Of the file in its folder, or of the member in its archive.
    size, mtime_ns : int
        In bytes; time of change, the archive's own for a member.
    state : int
        IMAGE, OTHER (not DICOM, or a DICOMDIR), DAMAGED (DICOM whose header is), UNREADABLE (by
        permission or a fault of the disk: tried again next time), NESTED (archive in an archive).
    facts : str or None
        The image's `facts.Facts` as JSON.
    position : tuple of 3 floats or None
        Image Position (Patient).
    instance : str
        SOP Instance UID.
    """

    name: str
    size: int
    mtime_ns: int
    state: int
    facts: str | None = None
    position: tuple[float, ...] | None = None
    instance: str = ""


@without_warnings()
def read_files(folder: str, files: list[tuple[str, int, int]], key: bytes) -> list[Read]:
    """Read headers of files of one folder, each given by name, size and time of change."""
    found, facts = [], _FactsOfHeaders(key)
    for name, size, mtime_ns in files:
        if name.upper() == DICOMDIR:
            found.append(Read(name, size, mtime_ns, OTHER))
            continue
        try:
            with open(os.path.join(folder, name), "rb", buffering=0) as stream:
                found.append(_read(stream, name, size, mtime_ns, facts))
        except OSError:
            found.append(Read(name, size, mtime_ns, UNREADABLE))
    return found


@without_warnings()
def read_archive(path: str, mtime_ns: int, key: bytes) -> tuple[list[Read], str]:
    """Read headers of an archive's members.

    Returns
    -------
    list of Read
        Empty when the archive cannot be trusted.
    str
        What is wrong with the archive, or "".
    """
    found: dict[str, Read] = {}
    facts = _FactsOfHeaders(key)
    try:
        for member in members(Path(path), MOST_ARCHIVE_BYTES):
            if member.hidden:
                continue
            if is_archive(member.name):
                read = Read(member.name, member.size, mtime_ns, NESTED)
            else:
                read = _read(member.stream, member.name, member.size, mtime_ns, facts)
            found[member.name] = read
    except Excluded as problem:
        return [], problem.detail
    except OSError as error:
        return [], f"archive not readable: {error.strerror}"
    return list(found.values()), ""


def facts_from(body: str | dict) -> Facts:
    """Make `Facts` of their JSON."""
    read = json.loads(body) if isinstance(body, str) else dict(body)
    for name in ("orientation", "pixel_spacing_mm"):
        read[name] = None if read[name] is None else tuple(read[name])
    return Facts(**read)


class _FactsOfHeaders:
    """Facts as JSON, worked out once for headers that are the same but for place and number."""

    def __init__(self, key: bytes) -> None:
        self.key = key
        self.known: dict[tuple, str] = {}

    def __call__(self, header: FileDataset) -> str:
        same = tuple(
            (element.tag, element.VR, str(element.value))
            for element in header.values()
            if element.tag not in OF_ONE_IMAGE
        )
        same += (header.original_encoding,)
        if same not in self.known:
            if len(self.known) > MOST_FACTS:
                self.known.clear()
            facts = asdict(facts_of(header, self.key))
            self.known[same] = json.dumps(facts, sort_keys=True, allow_nan=False)
        return self.known[same]


def _read(
    stream: BinaryIO, name: str, size: int, mtime_ns: int, facts_of_header: _FactsOfHeaders
) -> Read:
    try:
        header = read_header(stream, KEYWORDS)
        set_class(header)
        if header.get("SOPClassUID") == MediaStorageDirectoryStorage:
            return Read(name, size, mtime_ns, OTHER)
        if is_damaged(header):
            return Read(name, size, mtime_ns, DAMAGED)
        facts = facts_of_header(header)
        point = numbers(header, "ImagePositionPatient", 3)
        position = None if point is None else tuple(point.tolist())
        return Read(name, size, mtime_ns, IMAGE, facts, position, text(header, "SOPInstanceUID"))
    except InvalidDicomError:
        return Read(name, size, mtime_ns, DAMAGED if claims_dicom(name, size) else OTHER)
    except (*DAMAGED_HEADER, *DAMAGE) as error:
        raise_machine_trouble(error)
        return Read(name, size, mtime_ns, DAMAGED)
