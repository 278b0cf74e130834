"""The tables of a paper, chosen from those of the report."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from calcohort.methods.paragraph import marked_methods
from calcohort.report import contents
from calcohort.report.associations import association_sections
from calcohort.report.blocks import Table
from calcohort.report.comparisons import (
    agreement_tables,
    category_tables,
    reader_tables,
    subgroup_tables,
)
from calcohort.report.laboratory import fit_tables, rule_tables
from calcohort.report.passport import definitions_table
from calcohort.report.segmentation import segmentation_tables


@dataclass(frozen=True)
class Figure:
    """A figure: its files are `figures/{stem}.*`."""

    stem: str
    caption: str


@dataclass(frozen=True)
class Paper:
    """What is written as LaTeX and DOCX.

    Attributes
    ----------
    methods : str
        With marks for references (`methods.references`).
    tables : list of Table
    figures : list of Figure
    folder : Path
        Where the figures' files are, in `figures/`.
    """

    methods: str
    tables: list[Table]
    figures: list[Figure]
    folder: Path


def methods(tables: Mapping[str, pd.DataFrame], provenance: Mapping[str, Any]) -> str:
    """Write the Methods; parameters of `tables_of`."""
    compared = bool((tables["agreement"]["n"] > 0).any())
    counts = contents.counts_of(tables["scans"])
    return marked_methods(provenance, counts, provenance["settings"], compared)


def tables_of(tables: Mapping[str, pd.DataFrame], settings: Mapping[str, Any]) -> list[Table]:
    """Choose the tables that a paper would print: none that lists scans one by one.

    Parameters
    ----------
    tables : mapping
        The cohort's tables by name: scans, scores, segmentation, agreement, categories,
        laboratory_agreement, k_fits, associations.
    settings : mapping
        The study's settings.
    """
    rule, k = settings["measure"]["mask_rule"], settings["measure"]["k"]
    agreement, scores, segmentation = (tables[n] for n in ("agreement", "scores", "segmentation"))
    groups = ["group", *settings["association"]["groups"]]
    found = contents.cohort_tables(tables["scans"], groups)
    if len(scores):
        found.append(definitions_table(scores))
    found += agreement_tables(agreement, k, rule, beside_paper=False)
    found += reader_tables(agreement) + subgroup_tables(agreement, rule)
    found += category_tables(tables["categories"], rule)
    found += rule_tables(tables["laboratory_agreement"], settings["laboratory"]["rules"], rule)
    found += fit_tables(tables["k_fits"])
    for section in association_sections(tables["associations"], rule):
        found += section.blocks
    if len(segmentation):
        found += [table for table in segmentation_tables(segmentation) if not table.of_scans]
    return [replace(table, folded=False) for table in found]
