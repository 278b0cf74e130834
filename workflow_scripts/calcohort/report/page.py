"""The report: one HTML page that opens offline, with everything in it.

What stands on the page is a list of sections of blocks; how it looks is `page.html.j2`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from calcohort.methods.paragraph import methods_paragraph
from calcohort.outcomes import atomic_path
from calcohort.report import contents
from calcohort.report.blocks import Code, Drawing, Image, Section, Table, Text, embed
from calcohort.report.comparisons import (
    QUANTITIES,
    agreement_tables,
    category_tables,
    reader_tables,
    segmentation_tables,
    subgroup_tables,
)
from calcohort.report.flow import flow_diagram

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
    pictures: Mapping[str, Path],
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
    pictures : mapping
        `scan_id` to its QC picture; a scan whose file is missing or empty is said to have none.
    provenance : mapping
        What `provenance.collect` returned.

    Raises
    ------
    ValueError
        When the scans' outcomes do not add up (`flow.count_flow`).
    """
    rule = provenance["settings"]["measure"]["mask_rule"]
    counts = contents.counts_of(scans)
    compared = bool((agreement["n"] > 0).any())
    drawn = [s for s in scans["scan_id"] if s in pictures and _is_filled(pictures[s])]
    anchors = {scan_id: f"picture-{n}" for n, scan_id in enumerate(drawn, start=1)}
    sections = [
        _scans(scans),
        Section("cohort", "Cohort", [contents.cohort(scans)]),
        _calcium(scans, calcium, rule),
        _agreement(agreement, categories, figures, provenance["settings"]["measure"]),
        *further,
        *([] if segmentation.empty else [_segmentation(segmentation)]),
        Section("pictures", "Pictures", _pictures(scans, pictures, anchors)),
        Section(
            "methods",
            "Methods",
            [Text(methods_paragraph(provenance, counts, provenance["settings"], compared))],
        ),
        _provenance(provenance),
    ]
    folder = FileSystemLoader(Path(__file__).parent)
    environment = Environment(
        loader=folder,
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("page.html.j2").render(
        title=title,
        warning=DEFAULT_WEIGHTS if provenance["default_weights"] else RESEARCH_ONLY,
        facts=_facts(counts, provenance),
        cards=contents.key_numbers(scans, calcium, segmentation, agreement, rule),
        sections=sections,
        anchors=anchors,
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


def _pictures(
    scans: pd.DataFrame, pictures: Mapping[str, Path], anchors: Mapping[str, str]
) -> list[Image | Text]:
    blocks = []
    for scan in scans.to_dict("records"):
        scan_id = scan["scan_id"]
        if scan_id not in anchors:
            blocks.append(Text(f"{scan_id}: there is no picture."))
            continue
        alt = f"CT of scan {scan_id} in three planes with root outline and calcium; "
        if scan["status"] != "measured":
            alt = f"What was seen of scan {scan_id}; "
        alt += str(scan["status"])
        caption = f"{scan_id}, {scan['status']}"
        blocks.append(Image(embed(pictures[scan_id]), caption, alt, anchors[scan_id], wide=True))
    return blocks


def _is_filled(file: Path) -> bool:
    return Path(file).is_file() and Path(file).stat().st_size > 0


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
