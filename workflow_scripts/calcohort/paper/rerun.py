"""What a stranger needs to make a study's numbers again: settings, versions, and checksums."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from calcohort.study import ROOT, read_schema

HEAD = """# The settings of the study, for `snakemake --configfile rerun.yaml`. Fill in both paths.
sheet: scans.tsv  # the study's sheet
results: results

"""


def rerun_config(provenance: Mapping[str, Any]) -> str:
    """Config file of the same study on another machine."""
    return HEAD + yaml.safe_dump(dict(provenance["settings"]), allow_unicode=True)


def checksums(tables: Mapping[str, Path]) -> str:
    """Lines for `sha256sum -c`: SHA-256 and file name of the cohort's tables."""
    return "".join(
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
        for path in tables.values()
    )


def instructions(provenance: Mapping[str, Any], scans: pd.DataFrame) -> str:
    """Tell the steps from a fresh checkout to compared tables, in Markdown.

    Parameters
    ----------
    provenance : mapping
        What `provenance.collect` returned.
    scans : DataFrame
        scans.csv, for the columns that the sheet had.
    """
    found, known = read_schema("scans")["properties"], read_schema("sheet")["properties"]
    columns = [c for c in scans.dropna(axis=1, how="all") if c in known or c not in found]
    commit = provenance["code_commit"] or "that of version " + provenance["code_version"]
    modified = (
        "\n   The study ran with files changed since that commit: numbers may differ."
        if provenance["code_modified"]
        else ""
    )
    lock = hashlib.sha256((ROOT / "envs/requirements.lock").read_bytes()).hexdigest()
    weights = [
        f"   - {name}: `{w['file']}`, SHA-256 `{w['sha256']}`"
        for name, w in provenance["weights"].items()
    ] or ["   - none: every root was given as a mask"]
    return "\n".join(
        [
            "# How to make these numbers again",
            "",
            f"1. Check out commit `{commit}` of Calcohort.{modified}",
            f"2. `make install` (Python {provenance['python']} here; SHA-256 of "
            f"`envs/requirements.lock`: `{lock}`).",
            "3. Have the weights; others than the shipped ones are named in `rerun.yaml`, under",
            "   `localise: {network: {weights: …}}` and `segment: …`, and their training under",
            "   `trained_on`. Wrong weights are refused.",
            *weights,
            "4. Have the sheet, its scans in the same order, with paths to scans and masks and",
            f"   {', '.join(columns)}.",
            "5. Copy `rerun.yaml` to the checkout, fill in its two paths, and run",
            "   `.venv/bin/snakemake --cores all --configfile rerun.yaml`.",
            "6. In `cohort/` of the new results run `sha256sum -c paper/tables.sha256` of these.",
            "",
            f"The study ran on {provenance['platform']}, device {provenance['device']}. Networks "
            "on another device may differ in the last digits: then tables agree in value, not in "
            "bytes. Shifted dates need the study's own pseudonym key.",
            "",
        ]
    )
