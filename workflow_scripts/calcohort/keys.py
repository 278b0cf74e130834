"""The secret key of a study's pseudonyms: read, checked, made once, and the same for all its runs.

The key comes from the environment variable CALCOHORT_KEY, else from a file outside the repository
and the results that only its owner can read. The results keep the key's fingerprint, a keyed hash
that tells nothing of the key, so that a study never mixes the pseudonyms of two keys.
"""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calcohort.dicom.pseudonymise import keyed_hash
from calcohort.outcomes import UserError, atomic_path
from calcohort.private import check_private
from calcohort.study import ROOT

VARIABLE = "CALCOHORT_KEY"
SHORTEST = 32
FEWEST_DIFFERENT = 8
RANDOM_BYTES = 32
PHANTOM_MAKER = "Calcohort"
PUBLIC_KEY = b"Calcohort's phantoms: everybody knows this key."
"""Key of studies of phantoms (`phantoms_only`); a real scan under it is refused."""


def establish_key(settings: Mapping[str, Any]) -> bytes:
    """Read the study's key at the start of a run; make key and fingerprint for a new study.

    One process calls this before jobs start. Where two studies start at once and their key file is
    missing, the first one's key is taken by both.

    Parameters
    ----------
    settings : mapping
        The study's settings (`study.read_settings`).

    Raises
    ------
    UserError
        When the key is empty, short, readable by others, in the wrong place, missing for results
        that exist, or another one than that of the results.
    """
    file = _key_file(settings)
    if file and not file.exists() and not _fingerprint_file(settings).exists():
        _make_key(file)
    key = study_key(settings)
    path = _fingerprint_file(settings)
    if not path.exists():
        with atomic_path(path) as temporary:
            temporary.write_text(fingerprint(key) + "\n", encoding="ascii")
    return key


def check_key(settings: Mapping[str, Any]) -> None:
    """Refuse an unusable key, or another one than that of the results, before anything is planned.

    Raises
    ------
    UserError
        As `establish_key`; a new study may have no key yet.
    """
    file = _key_file(settings)
    if file is None or file.exists() or _fingerprint_file(settings).exists():
        study_key(settings)


def study_key(settings: Mapping[str, Any]) -> bytes:
    """Read the study's key and compare it with the fingerprint in the results.

    Raises
    ------
    UserError
        As `establish_key`; also when there is no key yet.
    """
    key = _read(settings)
    path = _fingerprint_file(settings)
    if path.exists() and path.read_text(encoding="ascii").strip() != fingerprint(key):
        raise UserError(
            f"The pseudonym key is not the one that {settings['results']} was made with: give that "
            "key, or name another `results` folder; one study has one key."
        )
    return key


def fingerprint(key: bytes) -> str:
    """Return a keyed hash by which a key is known again and cannot be guessed."""
    return keyed_hash(key, "fingerprint", "calcohort")


def check_phantom(key: bytes, manufacturer: str) -> None:
    """Refuse the manufacturer of a real scan under the key that everybody knows.

    Raises
    ------
    UserError
        Where the study is of `phantoms_only` and the scan's maker is not Calcohort.
    """
    if key == PUBLIC_KEY and manufacturer != PHANTOM_MAKER:
        raise UserError(
            "This study is of phantoms_only, whose pseudonyms everybody can undo, and here is a "
            "scan of another maker: set phantoms_only to false."
        )


def _key_file(settings: Mapping[str, Any]) -> Path | None:
    if settings.get("phantoms_only") or VARIABLE in os.environ:
        return None
    file = Path(settings["pseudonym_key_file"]).expanduser().absolute()
    for place, folder in (("repository", ROOT), ("results", Path(settings["results"]))):
        if file.resolve().is_relative_to(folder.resolve()):
            raise UserError(
                f"The pseudonym key {file} lies inside the {place}, where it is copied and shared "
                "with them; move it elsewhere and name it in pseudonym_key_file."
            )
    return file


def _fingerprint_file(settings: Mapping[str, Any]) -> Path:
    return Path(settings["results"], "key_fingerprint.txt")


def _read(settings: Mapping[str, Any]) -> bytes:
    if settings.get("phantoms_only"):
        return PUBLIC_KEY
    file = _key_file(settings)
    if file is None:
        source, key = VARIABLE, os.environ[VARIABLE].strip().encode()
    else:
        if not file.is_file():
            raise UserError(
                f"The pseudonym key {file} does not exist; put the study's key there, or give it "
                f"in {VARIABLE}."
            )
        check_private(file)
        source, key = str(file), file.read_bytes().strip()
    if len(key) < SHORTEST or len(set(key)) < FEWEST_DIFFERENT or key == PUBLIC_KEY:
        raise UserError(
            f"The pseudonym key in {source} is empty, well known or easily guessed: give at least "
            f"{SHORTEST} random characters (openssl rand -hex 32)."
        )
    return key


def _make_key(file: Path) -> None:
    """Make a random key, unless another process was first: a link is made whole or not at all."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=file.parent, prefix=".key-")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(os.urandom(RANDOM_BYTES).hex() + "\n")
        os.link(temporary, file)
    except FileExistsError:
        pass
    finally:
        os.unlink(temporary)
