"""Keyed hashes in the place of identifiers, and names of files that tell nothing of a patient.

A hash is HMAC-SHA256 (RFC 2104) under the study's secret key: the same patient, study or series has
the same hash throughout a study, and nobody without the key can test a guessed identifier. A plain
SHA-256 of a short patient number could be reversed by trying all numbers.
"""

import hashlib
import hmac
import re
import uuid

from calcohort.outcomes import UserError

RUNNING_NUMBER = re.compile(
    r"(I|IM|IMG|IMAGE|CT|SLICE)?[-_]?(\d+)(?:[-_](\d+))?(\.(dcm|ima))?", re.IGNORECASE
)


def keyed_hash(key: bytes, kind: str, identifier: str) -> str | None:
    """Hash an identifier under a secret key.

    Parameters
    ----------
    key : bytes
        The study's secret.
    kind : str
        What is hashed (`patient`, `study`, `series`): equal strings of two kinds hash apart.
    identifier : str
        The raw identifier; surrounding blanks do not count.

    Returns
    -------
    str or None
        64 hexadecimal digits, or None where there is no identifier.

    Raises
    ------
    UserError
        When the key is empty.
    """
    if not key:
        raise UserError("The pseudonymisation key is empty: give a secret of at least one byte.")
    identifier = identifier.strip()
    if not identifier:
        return None
    return hmac.new(key, f"{kind}\0{identifier}".encode(), hashlib.sha256).hexdigest()


def keyed_number(key: bytes, kind: str, identifier: str) -> int:
    """Return 64 bits of the keyed hash as a number; the identifier must not be blank."""
    return int(keyed_hash(key, kind, identifier)[:16], 16)


def keyed_uid(key: bytes, uid: str) -> str:
    """Return a UID in the place of `uid`, the same for the same UID throughout a study.

    It is `2.25.` and a UUID as a decimal number (DICOM PS3.5, B.2), made of the keyed hash.
    """
    digest = bytes.fromhex(keyed_hash(key, "uid", uid))
    return f"2.25.{uuid.UUID(bytes=digest[:16], version=5).int}"


def file_label(name: str, number: int, total: int) -> str:
    """Name a file by its place among the files sorted by path, and by its base name if neutral.

    A base name counts as neutral when it is a usual prefix and a number no larger than the number
    of files (`IM-0001-0023`, `1-013.dcm`). Others may hold a name, a date, a patient's number or a
    UID and are left out.
    """
    found = RUNNING_NUMBER.fullmatch(name)
    neutral = found and all(int(part) <= total for part in found.group(2, 3) if part)
    return f"file {number} of {total} ({name})" if neutral else f"file {number} of {total}"
