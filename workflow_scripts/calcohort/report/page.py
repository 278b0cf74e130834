"""The report: one HTML page that opens offline, with all tables and figures in it.

The pictures of the scans are in the gallery beside it. What stands on the page is a list of
sections of blocks; how it looks is `page.html.j2`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from calcohort.methods.paragraph import methods_paragraph
from calcohort.outcomes import atomic_path
from calcohort.report import contents, quality
from calcohort.report.blocks import Code, Drawing, Image, Section, Table, Text, embed
from calcohort.report.comparisons import (
    QUANTITIES,
    agreement_tables,
    category_tables,
    reader_tables,
    subgroup_tables,
)
from calcohort.report.flow import flow_diagram
from calcohort.report.segmentation import segmentation_tables
from calcohort.report.templates import render
from calcohort.reviews import Review

RESEARCH_ONLY = "Research use only."
DEFAULT_WEIGHTS = (
    "Research use only. Default weights are trained on phantoms; not for clinical use."
)

FIGURES = {
    "bland_altman": "Bland-Altman plot of the {name}, {rule} minus reader: bias and limits of "
    "agreement (± 1.96 SD) with their 95 % confidence intervals; where these do not hold, bias and "
    "limits by size.",
    "identity": "{rule} against the reader, {name}: line of identity and Deming regression.",
}


def write_report(
    path: Path,
    *,
    title: str,
    scans: pd.DataFrame,
    calcium: pd.DataFrame,
    segmentation: pd.DataFrame,
    agreement: pd.DataFrame,
    categories: pd.DataFrame,
    further: list[Section],
    figures: Mapping[str, Path],
    reviews: Mapping[str, Review],
    provenance: Mapping[str, Any],
) -> None:
    """Write the report of a cohort.

    Parameters
    ----------
    path : Path
        The HTML file; written whole or not at all.
    title : str
        The study's name.
    scans, calcium, segmentation, agreement, categories : DataFrame
        The cohort's tables (`tables.read_table`). All but `scans` may be empty; sections without
        anything to show say so or are left out.
    further : list of Section
        What stands after the agreement: laboratory, outcomes.
    figures : mapping
        Caption to SVG or PNG file, of the agreement section.
    reviews : mapping
        `scan_id` to its review (`reviews.read_reviews`).
    provenance : mapping
        What `provenance.collect` returned.

    Raises
    ------
    ValueError
        When the scans' outcomes do not add up (`flow.count_flow`).
    """
    settings = provenance["settings"]
    rule = settings["measure"]["mask_rule"]
    counts = contents.counts_of(scans)
    compared = bool((agreement["n"] > 0).any())
    groups = ["group", *settings["association"]["groups"]]
    sections = [
        _scans(scans),
        Section("cohort", "Cohort", contents.cohort_tables(scans, groups)),
        _calcium(scans, calcium, rule),
        _agreement(agreement, categories, figures, settings["measure"]),
        *further,
        *([] if segmentation.empty else [_segmentation(segmentation)]),
        quality.quality_section(scans, calcium, agreement, reviews, rule),
        Section(
            "methods",
            "Methods",
            [Text(methods_paragraph(provenance, counts, settings, compared))],
        ),
        _provenance(provenance),
    ]
    html = render(
        "page.html.j2",
        title=title,
        warning=DEFAULT_WEIGHTS if provenance["default_weights"] else RESEARCH_ONLY,
        facts=_facts(counts, provenance),
        cards=contents.key_numbers(scans, calcium, segmentation, agreement, rule),
        sections=sections,
        page_of="../scans/{}/scan.html" if settings["report"]["scan_pages"] else "gallery.html#{}",
    )
    with atomic_path(path) as temporary:
        temporary.write_text(html, encoding="utf-8")


def find_figures(folder: Path, rule: str) -> dict[str, Path]:
    """Caption the figures of `agreement.plots.draw_figures`; SVG, in the order of the tables.

    Parameters
    ----------
    folder : Path
        Where the figures are.
    rule : str
        The rule that is drawn.
    """
    found = {}
    for quantity, (name, _) in QUANTITIES.items():
        for stem, caption in FIGURES.items():
            file = Path(folder) / f"{stem}_{quantity}.svg"
            if file.is_file():
                found[caption.format(name=name.lower(), rule=rule)] = file
    return found


def _facts(counts: Mapping[str, int], provenance: Mapping[str, Any]) -> list[tuple[str, str]]:
    commit = provenance["code_commit"]
    code = provenance["code_version"] + (f" ({commit[:12]})" if commit else "")
    return [
        ("Data", f"{counts['sheet']} scans"),
        ("Calcohort", code),
        ("Device", provenance["device"]),
        ("Configuration", provenance["config_hash"][:12]),
        ("Written", provenance["time_utc"].replace("T", " ").replace("+00:00", " UTC")),
    ]


def _scans(scans: pd.DataFrame) -> Section:
    ended = contents.exclusions(scans)
    tail = [ended] if ended.rows else [Text("Every scan was measured.")]
    return Section("scans", "Scans", [Drawing(flow_diagram(scans)), *tail])


def _calcium(scans: pd.DataFrame, calcium: pd.DataFrame, rule: str) -> Section:
    if calcium.empty:
        return Section("calcium", "Calcium", [Text("No scan was measured.")])
    return Section("calcium", "Calcium", contents.calcium_tables(scans, calcium, rule))


def _agreement(
    agreement: pd.DataFrame,
    categories: pd.DataFrame,
    figures: Mapping[str, Path],
    measure: Mapping[str, Any],
) -> Section:
    rule = measure["mask_rule"]
    tables = agreement_tables(agreement, measure["k"], rule)
    if not tables:
        missing = (
            "No measured scan has a reference threshold or volume, so agreement is not stated."
        )
        return Section("agreement", "Agreement", [Text(missing)])
    tables += reader_tables(agreement) + subgroup_tables(agreement, rule)
    tables += category_tables(categories, rule)
    images = [Image(embed(file), caption, caption) for caption, file in figures.items()]
    return Section("agreement", "Agreement with the reference", [*tables, *images])


def _segmentation(segmentation: pd.DataFrame) -> Section:
    blocks = segmentation_tables(segmentation)
    return Section("segmentation", "Segmentation of the root", blocks)


def _provenance(provenance: Mapping[str, Any]) -> Section:
    words = frozenset({1, 2})
    code = [
        ["Calcohort", provenance["code_version"]],
        ["Commit", provenance["code_commit"] or "not a git checkout"],
        ["Files changed since the commit", "yes" if provenance["code_modified"] else "no"],
        ["Configuration, SHA-256", provenance["config_hash"]],
        ["Platform", provenance["platform"]],
        ["Device", provenance["device"]],
        ["Python", provenance["python"]],
        *([name, number] for name, number in provenance["packages"].items()),
    ]
    weights = [[n, w["file"], w["sha256"]] for n, w in provenance["weights"].items()]
    stages = [[name, str(number)] for name, number in provenance["stage_versions"].items()]
    blocks = [Table("Software", ["", "Version or hash"], code, text_columns=words)]
    if weights:
        head = ["Network", "File", "SHA-256"]
        blocks.append(Table("Weights of the networks", head, weights, text_columns=words))
    blocks.append(Table("Versions of the stages", ["Stage", "Version"], stages, folded=True))
    settings = json.dumps(provenance["settings"], indent=2, sort_keys=True)
    return Section("provenance", "Provenance", [*blocks, Code("Settings", settings)])
