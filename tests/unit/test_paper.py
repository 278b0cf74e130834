"""What goes into a paper: it compiles, opens, has the asked size, and gives the same numbers."""

import csv
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
from calcohort.agreement.agreement import Choices, agreement_table, category_table
from calcohort.measure import thresholds_hu
from calcohort.paper import latex
from calcohort.paper.paper import write_paper
from calcohort.provenance import collect
from calcohort.report.blocks import Table
from calcohort.study import read_config, read_schema, read_settings, settings_hash
from calcohort.tables import write_table
from calcohort.versions import STAGE_VERSIONS
from docx import Document
from PIL import Image

HOSTILE = r"50 % of A&B_{1} #2 ~ ^ \ $x$ < > | − × ± ≤ ≥ m² mm³ é"


def cohort():
    rng = np.random.default_rng(1)
    rows, scans = [], []
    for n in range(14):
        lm = 450.0 + 12 * n
        for rule, threshold in thresholds_hu(lm).items():
            values = {"threshold_hu": threshold, "calcium_volume_mm3": 20.0 * n}
            values |= {"lesion_count": n, "luminance_hu": lm, "root_volume_mm3": 15000.0}
            rows.append({"scan_id": f"s{n:02d}", "rule": rule} | values)
        reference = {"reference_threshold_hu": lm + 0.2 * (1000 - lm) + rng.normal(0, 20)}
        reference |= {"reference_volume_mm3": max(20.0 * n + rng.normal(0, 8), 0)}
        scans.append({"scan_id": f"s{n:02d}", "status": "measured", "site": HOSTILE} | reference)
    scans.append({"scan_id": "lost", "status": "excluded"})
    scans = pd.DataFrame(scans).assign(stage="measure", reason=None, manufacturer=HOSTILE)
    scans.loc[14, "reason"] = "no_contrast"
    choices = Choices(categories={"calcium_volume_mm3": [0, 100]})
    calcium = pd.DataFrame(rows)
    names = ("scores", "segmentation", "laboratory", "k_fits", "associations")
    empty = {name: pd.DataFrame(columns=list(read_schema(name)["properties"])) for name in names}
    agreement = agreement_table(calcium, scans, choices=choices)
    return empty | {
        "scans": scans,
        "calcium": calcium,
        "agreement": agreement[agreement["scans_with_reference"] > 0],
        "categories": category_table(calcium, scans, choices=choices),
        "laboratory_agreement": agreement[:0],
    }


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cohort")
    tables = cohort()
    write_table(folder / "agreement.csv", "agreement", tables["agreement"])
    settings = read_settings(read_config() | {"paper": {"column_width_mm": 85, "dpi": 300}})
    provenance = collect(settings, {}, STAGE_VERSIONS, "cpu")
    files = {"agreement": folder / "agreement.csv"}
    write_paper(folder / "paper", tables, files, provenance)
    write_paper(folder / "again", tables, files, provenance)
    return folder / "paper", settings


def test_hostile_texts_are_escaped():
    escaped = latex.escape(HOSTILE)
    assert r"50 \% of A\&B\_\{1\} \#2 \textasciitilde{} \textasciicircum{}" in escaped
    assert r"\$x\$ \ensuremath{<}" in escaped
    assert latex.methods("So [@bland1986;@lin1989]. 5 %") == "So~\\cite{bland1986,lin1989}. 5 \\%\n"


def test_a_table_follows_booktabs():
    table = Table("A_b", ["Rule", "n", "MAE"], [["F1", "3", "−1.5"]], groups=[("", 1), ("All", 2)])
    text = latex.table(table)
    assert r"\multicolumn{1}{c}{} & \multicolumn{2}{c}{All} \\" in text
    assert r"\cmidrule(lr){2-3}" in text and r"\caption{A\_b}" in text
    assert r"F1 & 3 & \ensuremath{-}1.5 \\" in text
    assert "|" not in text.split("tabular")[1] and "hline" not in text


def test_latex_compiles(paper, tmp_path):
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex")
    folder = shutil.copytree(paper[0], tmp_path / "paper")
    compile_ = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper"]
    for command in (compile_, ["bibtex", "paper"], compile_, compile_):
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace")
        assert done.returncode == 0, done.stdout[-2000:]
    log = (folder / "paper.log").read_text(errors="replace")
    assert "undefined" not in log and "Missing character" not in log
    assert (folder / "paper.pdf").stat().st_size > 20_000


def test_docx_opens_and_holds_methods_references_figures_and_tables(paper):
    document = Document(paper[0] / "paper.docx")
    text = "\n".join(paragraph.text for paragraph in document.paragraphs)
    assert "Of 15 scans, 14 were measured" in text
    assert "1. Minghini G" in text and "@" not in text
    drawn = len(list((paper[0] / "figures").glob("*.png")))
    assert len(document.inline_shapes) == drawn == 1 + 2 * 2
    stems = sorted((paper[0] / "tables").glob("*.csv"))
    assert len(document.tables) == len(stems)
    for table, path in zip(document.tables, stems, strict=True):
        rows = list(csv.reader(path.open(encoding="utf-8")))
        last = [cell.text.replace("−", "-").replace("–", "") for cell in table.rows[-1].cells]
        assert last == [cell.replace("–", "") for cell in rows[-1]]


def test_csv_has_numbers_that_programs_read(paper):
    bias = next(
        rows
        for path in sorted((paper[0] / "tables").glob("*.csv"))
        for rows in [list(csv.reader(path.open(encoding="utf-8")))]
        if "Bias" in rows[0] and "Range" in rows[0]
    )
    numbers = [float(row[bias[0].index("Bias")]) for row in bias[1:]]
    assert min(numbers) < 0


def test_figures_have_the_width_and_resolution_that_were_asked(paper):
    width = round(85 / 25.4 * 300)
    for path in (paper[0] / "figures").glob("*.png"):
        with Image.open(path) as image:
            asked = width if "identity" not in path.stem else round(width * 0.8125)
            assert image.width == pytest.approx(asked, abs=1)
            assert image.info["dpi"][0] == pytest.approx(300, abs=0.1)
    for path in (paper[0] / "figures").glob("*.pdf"):
        assert b"/Type3" not in path.read_bytes(), "journals refuse Type 3 fonts"


def test_the_same_study_gives_the_same_bytes(paper):
    again = paper[0].with_name("again")
    for path in paper[0].rglob("*"):
        if path.is_file() and path.suffix != ".docx":
            assert path.read_bytes() == (again / path.relative_to(paper[0])).read_bytes(), path.name


def test_a_stranger_runs_the_same_settings_and_compares_the_tables(paper, tmp_path):
    folder, settings = paper
    again = read_settings(read_config(folder / "rerun.yaml"))
    assert settings_hash(again) == settings_hash(settings)
    check = ["sha256sum", "-c", "paper/tables.sha256"]
    assert subprocess.run(check, cwd=folder.parent, capture_output=True).returncode == 0
    text = (folder / "RERUN.md").read_text()
    assert "scan_id, site, reference_threshold_hu, reference_volume_mm3." in text
    assert "requirements.lock" in text and "every root was given as a mask" in text
