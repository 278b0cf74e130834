"""Where numbers come from: versions, hashes, settings."""

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from calcohort import __version__
from calcohort.study import ROOT, settings_hash

PACKAGES = (
    "dcm2niix",
    "pydicom",
    "nibabel",
    "numpy",
    "scipy",
    "pandas",
    "tensorflow",
    "keras",
    "pingouin",
    "statsmodels",
    "matplotlib",
    "Jinja2",
    "snakemake",
)

OF_THE_MACHINE = {
    "sheet",
    "dicom_root",
    "private",
    "results",
    "device",
    "batch_size",
    "pseudonym_key_file",
    "node",
    "reviews",
    "weights",
    "trained_on",
}


def collect(
    config: Mapping[str, Any],
    weights: Mapping[str, Mapping[str, str]],
    stage_versions: Mapping[str, int],
    device: str,
) -> dict[str, Any]:
    """Gather what a reader needs to make the same numbers again.

    Parameters
    ----------
    config : mapping
        The study's settings (`study.read_settings`).
    weights : mapping
        Name of a network to its `path` and `sha256`.
    stage_versions : mapping
        Stage to version (`versions.STAGE_VERSIONS`).
    device : str
        What the networks ran on, in words.

    Returns
    -------
    dict
        Plain values, free of host names and paths: `code_version`, `code_commit` (None outside a
        git checkout), `code_modified`, `python`, `platform`, `packages`, `config_hash` (SHA-256,
        the one of calcium.csv), `settings`, `weights`, `default_weights` (whether any weights are
        the shipped ones, of `models/`), `stage_versions`, `device`; and `time_utc`, the only one
        that differs between two runs of the same study.
    """
    commit, modified = _commit()
    return {
        "code_version": __version__,
        "code_commit": commit,
        "code_modified": modified,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": _packages(),
        "config_hash": settings_hash(config),
        "settings": _without_machine(config),
        "weights": {
            name: {"file": Path(given["path"]).name, "sha256": given["sha256"]}
            for name, given in sorted(weights.items())
        },
        "default_weights": any(_is_shipped(given["path"]) for given in weights.values()),
        "stage_versions": dict(stage_versions),
        "device": device,
        "time_utc": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _packages() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _commit() -> tuple[str | None, bool]:
    """Commit of the checkout this file is tracked in, and whether tracked files differ from it."""
    git = ["git", "-C", str(Path(__file__).parent)]
    try:
        subprocess.run(
            [*git, "ls-files", "--error-unmatch", Path(__file__).name],
            check=True,
            capture_output=True,
        )
        commit = subprocess.run(
            [*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True
        )
        changed = subprocess.run(
            [*git, "status", "--porcelain", "--untracked-files=no"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return None, False
    return commit.stdout.strip(), bool(changed.stdout.strip())


def _without_machine(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {k: _without_machine(v) for k, v in value.items() if k not in OF_THE_MACHINE}
    return value


def _is_shipped(path: str) -> bool:
    return (ROOT / path).resolve().parent == ROOT / "models"
