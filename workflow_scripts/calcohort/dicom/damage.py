"""What damaged or hostile DICOM files raise when they are read, and what they may cost."""

import struct
import zlib
from pathlib import Path

from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.filereader import data_element_generator
from pydicom.uid import DeflatedExplicitVRLittleEndian
from pydicom.valuerep import STANDARD_VR

DAMAGED = (
    InvalidDicomError,
    BytesLengthException,
    OSError,
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)
"""RuntimeError holds what pydicom's decoders raise, and the recursion of nested sequences; OSError
what pydicom raises at the end of a file, see `raise_machine_trouble`."""
MAX_INFLATED_BYTES = 1_000_000_000
MAX_EXCESS_BYTES = 250_000_000
META_LENGTH_AT, META_START = 140, 144
CHUNK_BYTES = 1_000_000
UNDEFINED_LENGTH = 0xFFFFFFFF
GROUPS_BEHIND_PIXELS = (0xFFFA, 0xFFFC)


def raise_machine_trouble(error: Exception) -> None:
    """Raise `error` again where it is the machine's, such as a disk that cannot be read."""
    if isinstance(error, OSError) and error.errno and not isinstance(error, PermissionError):
        raise error


def refuse_inflation(path: Path) -> None:
    """Refuse a deflated file (DICOM PS3.5, A.5) that inflates to more than `MAX_INFLATED_BYTES`.

    pydicom inflates such a file as a whole, whatever is asked of it.

    Raises
    ------
    ValueError
        When it inflates to more.
    """
    with path.open("rb") as stream:
        start = stream.read(META_START)
        if start[128:132] != b"DICM" or len(start) < META_START:
            return
        meta = stream.read(min(struct.unpack_from("<I", start, META_LENGTH_AT)[0], CHUNK_BYTES))
        if DeflatedExplicitVRLittleEndian.encode() not in meta:
            return
        inflater, size = zlib.decompressobj(-zlib.MAX_WBITS), 0
        while chunk := inflater.unconsumed_tail or stream.read(CHUNK_BYTES):
            size += len(inflater.decompress(chunk, CHUNK_BYTES))
            if size > MAX_INFLATED_BYTES:
                raise ValueError(f"inflates to more than {MAX_INFLATED_BYTES / 1e9:g} GB")


def refuse_excess(path: Path, expected_bytes: int) -> None:
    """Refuse a file much larger than its image, before it is read into memory.

    Raises
    ------
    ValueError
        When the file exceeds its image, uncompressed, by more than `MAX_EXCESS_BYTES`.
    """
    size = path.stat().st_size
    if size > expected_bytes + MAX_EXCESS_BYTES:
        raise ValueError(f"{size / 1e9:.1f} GB for an image of {expected_bytes / 1e6:.1f} MB")


def refuse_trailing_bytes(path: Path, dataset: Dataset) -> None:
    """Refuse a file that goes on behind its pixels with anything but whole further elements.

    Behind Pixel Data stand private elements, Digital Signatures and Data Set Trailing Padding alone
    (DICOM PS3.6). Where bytes were put into a file, the last pixels stand there.

    Parameters
    ----------
    path : Path
        An uncompressed file.
    dataset : Dataset
        Of the file, as read.

    Raises
    ------
    ValueError
        When there are such bytes.
    """
    pixels = dataset.get_item("PixelData")
    if not isinstance(pixels, RawDataElement) or pixels.length == UNDEFINED_LENGTH:
        return
    with path.open("rb") as stream:
        stream.seek(pixels.value_tell + pixels.length)
        elements = list(
            data_element_generator(stream, pixels.is_implicit_VR, pixels.is_little_endian)
        )
    end = pixels.value_tell + pixels.length
    if elements and isinstance(elements[-1], RawDataElement):
        end = elements[-1].value_tell + elements[-1].length
    whole = end == path.stat().st_size
    for element in elements:
        known = element.tag.is_private or element.tag.group in GROUPS_BEHIND_PIXELS
        whole &= known and (pixels.is_implicit_VR or element.VR in STANDARD_VR)
    if not whole:
        raise ValueError("the file goes on behind its pixels with bytes that are no element")
