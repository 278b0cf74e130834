"""Where numbers come from: versions, hashes, settings, and the Methods paragraph made of them."""

import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from calcohort import __version__
from calcohort.measure import RULES, MeasureSettings
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
    "matplotlib",
    "Jinja2",
    "snakemake",
)

MINUS = "\u2212"

PAPER = (
    "Minghini G, Cavallo AU, Miola A, Sisini V, Calore E, Fortini F, Micheloni R, Rizzo P, "
    "Schifano SF, Vieceli Dalla Sega F, Zambelli C. An HPC pipeline for calcium quantification of "
    "aortic root from contrast-enhanced CCT scans. IEEE Access 2023. "
    "doi:10.1109/ACCESS.2023.3315734"
)

OF_THE_MACHINE = {
    "sheet",
    "results",
    "device",
    "batch_size",
    "plan_in_full",
    "pseudonym_key_file",
    "reviews",
    "weights",
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


def methods_paragraph(
    provenance: Mapping[str, Any], counts: Mapping[str, int], settings: Mapping[str, Any]
) -> str:
    """Write the Methods paragraph of a paper that uses these numbers.

    Parameters
    ----------
    provenance : mapping
        What `collect` returned.
    counts : mapping
        Number of scans: `sheet`, `measured`, `excluded`, `failed`.
    settings : mapping
        The study's settings: `measure`, and where networks were used `downscale` and `crop`.

    Returns
    -------
    str
        Plain text.
    """
    measure = MeasureSettings(**settings["measure"])
    packages = provenance["packages"]
    used = ", ".join(f"{name} {packages[name]}" for name in packages)
    rules = "; ".join(
        f"{name} = {rule.formula.replace('-', MINUS)}" for name, rule in RULES.items()
    )
    smallest = (
        f" Lesions of fewer than {measure.min_lesion_voxels} voxels were left out."
        if measure.min_lesion_voxels > 1
        else ""
    )
    return " ".join(
        [
            "Aortic-root calcium was measured in contrast-enhanced cardiac CT with Calcohort "
            f"{_code(provenance)}, which follows Minghini et al. [1].",
            f"Of {counts['sheet']} scans, {counts['measured']} were measured, "
            f"{counts['excluded']} were excluded for reasons stated and {counts['failed']} failed.",
            "DICOM series were converted with dcm2niix; geometry and Hounsfield units were checked "
            "against the DICOM headers.",
            _networks(provenance, settings),
            f"The luminance Lm was the mean of a cube of {measure.cube_side_voxels} voxels a side, "
            "moved from the root's geometric centre towards the sinotubular junction so that it "
            "held contrast-enhanced blood; scans with Lm below "
            f"{measure.min_luminance_hu:g} HU or of 1000 HU and more were excluded.",
            "Voxels of the root at or above a threshold were calcium; seven threshold rules were "
            f"applied ({rules}; k = {measure.k:g}), of which {measure.mask_rule} is the main one.",
            "The volume was the number of voxels times the voxel volume from the image's affine; "
            f"lesions were {measure.connectivity}-connected components.{smallest}",
            "Agreement was stated as automatic minus reference with limits of agreement at "
            "±1.96 SD, R² = 1 − SS_res/SS_tot about the identity line, and the mean absolute "
            "error.",
            f"Software: Python {provenance['python']}, {used}; configuration SHA-256 "
            f"{provenance['config_hash'][:12]}.",
            f"[1] {PAPER}.",
        ]
    )


def _networks(provenance: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    if not provenance["weights"]:
        return "The aortic root of every measured scan was given as a mask."
    hashes = ", ".join(f"{n} {w['sha256'][:12]}" for n, w in provenance["weights"].items())
    factor, shape = settings["downscale"]["factor_kji"], settings["crop"]["shape_kji"]
    trained = " (default weights, trained on phantoms)" if provenance["default_weights"] else ""
    return (
        "Unless given as a mask, the aortic root was found by two 3D U-Nets: the first localised "
        f"it in the scan averaged over blocks of {_times(factor)} voxels (slices × rows × "
        "columns), the second segmented it in a crop of "
        f"{_times(shape)} voxels of the original scan; weights{trained} by SHA-256: {hashes}."
    )


def _times(numbers) -> str:
    return " × ".join(str(n) for n in numbers)


def _code(provenance: Mapping[str, Any]) -> str:
    text = f"version {provenance['code_version']}"
    if provenance["code_commit"]:
        modified = ", modified" if provenance["code_modified"] else ""
        text += f" (commit {provenance['code_commit'][:12]}{modified})"
    return text


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
