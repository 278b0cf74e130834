"""The private folder: what names patients, for the study's own people, never among the results."""

from pathlib import Path

OWNER_ONLY = 0o077


def private_folder(path: Path | str) -> Path:
    """Make a folder that only its owner may enter (0700), or take the rights of others away."""
    folder = Path(path)
    folder.mkdir(parents=True, exist_ok=True)
    if folder.stat().st_mode & OWNER_ONLY:
        folder.chmod(0o700)
    return folder
