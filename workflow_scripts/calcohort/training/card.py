"""The model card of a trained network, and the lines of a config that name its weights."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

from calcohort.applicability import Ranges, ranges_table
from calcohort.outcomes import UserError

STAGE_OF = {"unet1": "localise", "unet2": "segment"}
TASKS = {
    "unet1": "bounding box of the aortic root in the downscaled scan",
    "unet2": "mask of the aortic root in the crop around it",
}


def config_lines(
    network: str, weights: str, sha256: str, own: Mapping[str, Any], ranges: str
) -> str:
    """Return what a study's config says to use the weights, trained on `ranges` (a file); YAML."""
    named = {"weights": weights, "sha256": sha256}
    shape = {key: own[key] for key in ("filters", "depth", "block_kji")}
    stage = STAGE_OF[network]
    config = {stage: {"network": named | shape}, "trained_on": {stage: ranges}}
    return yaml.safe_dump(config, sort_keys=False)


def model_card(
    network: str,
    settings: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
    ranges: Ranges,
    summary: pd.DataFrame,
    final: Mapping[str, Any],
    lines: str,
) -> str:
    """Write the model card, Markdown.

    Parameters
    ----------
    network : str
        "unet1" or "unet2".
    settings : mapping
        The config's section `training`.
    records : sequence of mapping
        Of `prepare_sample`, one per scan.
    ranges : mapping
        Of `applicability.find_ranges`.
    summary : DataFrame
        Of `summary.summarise`.
    final : mapping
        Last row of the log of the training on all scans.
    lines : str
        Of `config_lines`.
    """
    volume_ml = np.array([record["root_volume_mm3"] for record in records]) / 1000
    text = Path(__file__).with_name("model_card.md.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(
        network=network,
        task=TASKS[network],
        settings=settings,
        own={"start_from": None} | settings[network],
        records=records,
        ranges=ranges_table(ranges),
        volume_ml=volume_ml.round(1),
        summary=summary.to_dict("records"),
        final=final,
        lines=lines.rstrip(),
    )


def with_ranges(card: str, scans: str, ranges: Ranges) -> str:
    """Write ranges into the section "Ranges" of a model card, in place of what stands there.

    Parameters
    ----------
    card : str
        Markdown.
    scans, ranges
        As `applicability.write_ranges` writes them beside the card.

    Raises
    ------
    UserError
        When the card has no such section.
    """
    section = f"""## Ranges
{scans},
written by `describe_training.py` (`ranges.yaml`): from the 1st to the 99th percentile, each rounded
outward to a scan. A scan outside is flagged in `scans.csv`, `outside_training`.

{ranges_table(ranges)}
"""
    parts = re.split(r"^## Ranges\n(?:.*\n)*?(?=## |\Z)", card, maxsplit=1, flags=re.MULTILINE)
    if len(parts) == 1:
        raise UserError("the model card has no section `## Ranges`; add its heading")
    before, after = parts
    return before + section + ("\n" + after if after else "")
