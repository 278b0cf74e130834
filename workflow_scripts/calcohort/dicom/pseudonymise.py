"""Keyed hashes in the place of identifiers, and sentences freed of names, UIDs and paths.

A hash is HMAC-SHA256 (RFC 2104) under the study's secret key: the same patient, study or series has
the same hash throughout a study, and nobody without the key can test a guessed identifier. A plain
SHA-256 of a short patient number could be reversed by trying all numbers.
"""

import hashlib
import hmac
import re

from calcohort.outcomes import UserError

PATH = re.compile(r"(?:/[^\s/'\":,]+)+")
UID = re.compile(r"\b\d+(?:\.\d+){3,}\b")
NEUTRAL_NAME = re.compile(r"[A-Za-z]{0,5}[-_]?\d{1,6}([-_]\d{1,6})?(\.(dcm|ima))?", re.IGNORECASE)


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


def clean(text: str) -> str:
    """Return `text` on one line, without file paths and UIDs."""
    return UID.sub("(uid)", PATH.sub("(path)", " ".join(text.split())))


def file_label(name: str, number: int, total: int) -> str:
    """Name a file by its place among the files sorted by path, and by its base name if neutral.

    A base name counts as neutral when it is a short prefix and a running number (`IM-0001-0023`,
    `1-013.dcm`); others may hold a patient's name or a UID and are left out.
    """
    neutral = f" ({name})" if NEUTRAL_NAME.fullmatch(name) else ""
    return f"file {number} of {total}{neutral}"
