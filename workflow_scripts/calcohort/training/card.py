"""The model card of a trained network, and the lines of a config that name its weights."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment, StrictUndefined

STAGE_OF = {"unet1": "localise", "unet2": "segment"}
TASKS = {
    "unet1": "bounding box of the aortic root in the downscaled scan",
    "unet2": "mask of the aortic root in the crop around it",
}


def config_lines(network: str, weights: str, sha256: str, own: Mapping[str, Any]) -> str:
    """Return what a study's config says to use the weights, YAML."""
    named = {"weights": weights, "sha256": sha256}
    shape = {key: own[key] for key in ("filters", "depth", "block_kji")}
    return yaml.safe_dump({STAGE_OF[network]: {"network": named | shape}}, sort_keys=False)


def model_card(
    network: str,
    settings: Mapping[str, Any],
    records: Sequence[Mapping[str, Any]],
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
    summary : DataFrame
        Of `summary.summarise`.
    final : mapping
        Last row of the log of the training on all scans.
    lines : str
        Of `config_lines`.
    """
    spacing_mm = np.array([record["spacing_mm"] for record in records])
    volume_ml = np.array([record["root_volume_mm3"] for record in records]) / 1000
    text = Path(__file__).with_name("model_card.md.j2").read_text(encoding="utf-8")
    environment = Environment(undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(text).render(
        network=network,
        task=TASKS[network],
        settings=settings,
        own={"start_from": None} | settings[network],
        records=records,
        ranges=[
            ("slice spacing, mm", spacing_mm[:, 0], 3),
            ("pixel spacing, mm", spacing_mm[:, 1:], 3),
            ("root volume, mL", volume_ml, 1),
        ],
        summary=summary.to_dict("records"),
        final=final,
        lines=lines.rstrip(),
    )
