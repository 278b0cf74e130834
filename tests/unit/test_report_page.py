"""The page: complete, offline, safe against hostile text, and right in its figures."""

from html.parser import HTMLParser

import pandas as pd
import pytest
from calcohort.agreement.agreement import Choices, agreement_table, category_table
from calcohort.agreement.plots import draw_figures
from calcohort.measure import thresholds_hu
from calcohort.provenance import collect
from calcohort.report.blocks import Section, number, p_value, spread
from calcohort.report.outliers import KINDS
from calcohort.report.page import DEFAULT_WEIGHTS, find_figures, write_report
from calcohort.study import read_config, read_settings
from calcohort.versions import STAGE_VERSIONS

SETTINGS = read_settings(
    read_config()
    | {"report": {"scan_pages": False}, "association": {"outcomes": [], "groups": ["sex"]}}
)
HOSTILE = "<script>alert('x')</script>"
LUMINANCE = {"a1": 400.0, "a2": 500.0, "a3": 550.0, "a4": 600.0}
VOLUME = {"a1": 0.0, "a2": 120.25, "a3": 80.5, "a4": 310.75}
SEGMENTATION = ["scan_id", "status", "reason", "dice", "box_coverage"]


class Page(HTMLParser):
    """What the tests look at: rows of tables, sources, links, ids, and tags."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.links, self.sources, self.ids, self.alts = [], [], [], [], []
        self.tables, self.row = [], None
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.ids += [attributes["id"]] if "id" in attributes else []
        self.links += [attributes["href"]] if "href" in attributes else []
        self.sources += [attributes[k] for k in ("src", "srcset", "data") if k in attributes]
        self.alts += [attributes.get("alt", "")] if tag == "img" else []
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.row = []
            self.tables[-1].append(self.row)
        elif tag in ("td", "th") and self.row is not None:
            self.row.append("")

    def handle_endtag(self, tag):
        if tag == "tr":
            self.row = None

    def handle_data(self, data):
        if self.row:
            self.row[-1] += data

    def table(self, first_cells: list[str]) -> list[list[str]]:
        return next(t for t in self.tables if any(r[: len(first_cells)] == first_cells for r in t))


def provenance(default_weights=False) -> dict:
    folder = "models" if default_weights else "mine"
    weights = {"segment": {"path": f"{folder}/unet2.h5", "sha256": "cd" * 32}}
    return collect(SETTINGS, weights, STAGE_VERSIONS, "CPU")


def scans_table() -> pd.DataFrame:
    rows = [
        {
            "scan_id": scan_id,
            "status": "measured",
            "stage": "measure",
            "kv": 120.0,
            "sex": "F",
            "age": 70.0 + n,
            "luminance_hu": lm,
            "root_source": "network",
            "outside_training": "luminance_hu below 450" if lm < 450 else "no",
            "reference_threshold_hu": lm + 0.2 * (1000 - lm) + 10 * n,
            "reference_volume_mm3": VOLUME[scan_id] + n,
        }
        for n, (scan_id, lm) in enumerate(LUMINANCE.items())
    ]
    excluded = {"status": "excluded", "stage": "convert", "sex": "M", "age": 60.0}
    rows.append(
        excluded | {"scan_id": "b1", "reason": "not_ct", "detail": "the folder holds an MR series"}
    )
    rows.append(excluded | {"scan_id": HOSTILE, "reason": HOSTILE, "detail": f"{HOSTILE} & more"})
    return pd.DataFrame(rows).assign(review=None)


def calcium_table() -> pd.DataFrame:
    return pd.DataFrame(
        {
            "scan_id": scan_id,
            "rule": rule,
            "threshold_hu": threshold,
            "calcium_volume_mm3": VOLUME[scan_id],
            "volume_low_mm3": VOLUME[scan_id] - 1.5,
            "volume_high_mm3": VOLUME[scan_id] + 2,
            "noise_volume_mm3": 0.0,
            "lesion_count": 2,
            "largest_lesion_mm3": None,
            "mean_hu": None,
            "peak_hu": None,
            "luminance_hu": lm,
            "root_volume_mm3": 15_000.0,
            "root_source": "network",
        }
        for scan_id, lm in LUMINANCE.items()
        for rule, threshold in thresholds_hu(lm).items()
    )


def write(path, **changes) -> str:
    tables = {
        "scans": scans_table(),
        "calcium": calcium_table(),
        "segmentation": pd.DataFrame(
            [("a1", "compared", None, 0.9, 0.999), ("a2", "no_root", "root_not_found", None, None)],
            columns=SEGMENTATION,
        ),
    }
    tables["agreement"] = agreement_table(tables["calcium"], tables["scans"])
    tables["categories"] = category_table(tables["calcium"], tables["scans"], choices=Choices())
    given = tables | {
        "title": "A study",
        "further": [Section("laboratory", "Threshold laboratory", [])],
        "figures": {},
        "reviews": {},
        "provenance": provenance(),
    }
    write_report(path, **(given | changes))
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> str:
    folder = tmp_path_factory.mktemp("report")
    scans = scans_table()
    draw_figures(folder, calcium_table(), scans, rule="F7")
    return write(folder / "report.html", figures=find_figures(folder, "F7"))


def test_every_scan_stands_once_in_calcium_or_exclusions(full):
    page = Page(full)
    measured = [row[0] for row in page.table(["Scan", "Lm, HU"])[1:]]
    ended = [row[0] for row in page.table(["Scan", "Outcome"])[1:]]
    assert sorted(measured + ended) == sorted(scans_table()["scan_id"])


def test_every_table_lists_a_scan_at_most_once(full):
    for table in Page(full).tables:
        names = [row[0] for row in table if row[0]]
        assert len(names) == len(set(names))


def test_page_fetches_nothing(full):
    page = Page(full)
    assert page.sources and all(source.startswith("data:image/") for source in page.sources)
    assert all(link.startswith(("#", "gallery.html")) for link in page.links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "url(http" not in full and "@import" not in full


def test_figures_are_embedded_with_text_for_those_who_do_not_see_them(full):
    page = Page(full)
    assert len(page.alts) == 4
    assert all(page.alts)
    assert sum(s.startswith("data:image/svg+xml;base64,") for s in page.sources) == 4


def test_links_lead_somewhere_and_ids_are_unique(full):
    page = Page(full)
    scans = {link.removeprefix("gallery.html#") for link in page.links if "#" in link[1:]}
    assert scans == set(scans_table()["scan_id"])
    assert {link[1:] for link in page.links if link.startswith("#")} <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_hostile_text_is_escaped(full):
    assert "<script" not in full
    assert "&lt;script&gt;" in full


def test_reasons_are_told_in_words(full):
    row = Page(full).table(["Scan", "Outcome"])[1]
    words = "no series of the folder is CT"
    assert row == ["b1", "excluded", "convert", words, "the folder holds an MR series"]


def test_agreement_stands_beside_the_papers_figures(full):
    table = Page(full).table(["Rule", "n"])
    f7 = table[-1]
    assert f7[0] == "F7: Lm + 0.2 (1000 − Lm)"
    assert f7[1] == "4"
    assert f7[3] == "15.0", "errors 0, 10, 20, 30 HU"
    assert f7[6] == "−15.0", "automatic minus reference"
    assert f7[-4:] == ["0.89", "29.58", "25.81", "104.40"]


def test_papers_figures_are_not_beside_other_references(tmp_path):
    scans = scans_table().assign(physical_mm3=lambda t: t["reference_volume_mm3"])
    columns = {"calcium_volume_mm3": "physical_mm3"}
    physical = agreement_table(calcium_table(), scans, columns=columns, reference="physical volume")
    html = write(tmp_path / "r.html", agreement=physical)
    assert "against the physical volume" in html and "95.46" not in html


def test_calcium_of_a_scan(full):
    row = next(r for r in Page(full).table(["Scan", "Lm, HU"]) if r[0] == "a2")
    assert row[:6] == ["a2", "500", "600", "120.2", "119 to 122", "2"]
    assert row[6:] == ["–", "–", "–", "15.0", "610.0", "121.2"]


def test_scans_outside_of_the_networks_training_are_counted_and_told(full, tmp_path):
    assert "1 of 4 scans that the networks saw are outside the ranges" in full
    row = Page(full).table(["Scan", "Why"])[1]
    assert row == ["a1", KINDS["training"], "contrast (Lm) 400.0 HU, below 450 HU"]
    inside = scans_table().replace({"outside_training": "luminance_hu below 450"}, "no")
    html = write(tmp_path / "inside.html", scans=inside)
    assert "0 of 4 scans that the networks saw are outside the ranges" in html
    assert "look at their pictures" in full and "look at their pictures" not in html
    html = write(tmp_path / "unknown.html", scans=inside.assign(outside_training=None))
    assert "is not known" in html and "the 4 scans that they segmented was not checked" in html
    given = inside.assign(outside_training=None, root_source="sheet")
    assert "trained on (" not in write(tmp_path / "given.html", scans=given)


def test_time_stands_in_the_header_only(full):
    day = provenance()["time_utc"][:10]
    assert full.count(day) == 1
    assert full.index(day) < full.index("<main>")


def test_same_input_gives_the_same_page(tmp_path):
    same = provenance() | {"time_utc": "2026-01-01T00:00:00+00:00"}
    first = write(tmp_path / "a.html", provenance=same)
    assert first == write(tmp_path / "b.html", provenance=same)


@pytest.mark.parametrize("default", [True, False])
def test_default_weights_are_declared(tmp_path, default):
    html = write(tmp_path / "r.html", provenance=provenance(default))
    assert (DEFAULT_WEIGHTS in html) is default
    assert "Research use only." in html


def test_page_without_measured_scans_references_and_pictures(tmp_path):
    scans = scans_table().iloc[4:]
    html = write(
        tmp_path / "r.html",
        scans=scans,
        calcium=calcium_table().iloc[:0],
        segmentation=pd.DataFrame(columns=SEGMENTATION),
        agreement=agreement_table(calcium_table().iloc[:0], scans),
    )
    assert "0 of 2" in html
    assert "No scan was measured." in html
    assert "agreement is not stated" in html
    assert "Dice" not in html


def test_page_of_an_empty_sheet(tmp_path):
    empty = {"scans": scans_table().iloc[:0], "calcium": calcium_table().iloc[:0]}
    empty["agreement"] = agreement_table(empty["calcium"], empty["scans"])
    empty["segmentation"] = pd.DataFrame(columns=SEGMENTATION)
    assert "0 of 0" in write(tmp_path / "r.html", **empty)


def test_scans_link_to_their_pages_where_they_have_some(tmp_path):
    settings = SETTINGS | {"report": {"scan_pages": True}}
    html = write(tmp_path / "r.html", provenance=provenance() | {"settings": settings})
    assert "../scans/a1/scan.html" in Page(html).links


def test_scans_are_described_by_group_with_those_that_are_missing(tmp_path):
    scans = scans_table()
    scans.loc[:1, "sex"] = "M"
    scans.loc[2, "age"] = None
    page = Page(write(tmp_path / "r.html", scans=scans))
    by_sex = page.table(["", "F (n = 2)", "M (n = 2)"])
    ages = next(row for row in by_sex if row[0] == "Age, years")
    assert ages == ["Age, years", "73.0; 1 missing", "70.5 ± 0.7 (70.0 to 71.0)"]
    everyone = page.table(["", "All scans (n = 6)", "Measured (n = 4)"])
    assert next(row for row in everyone if row[0] == "Sex: F")[1:] == ["2 (33 %)", "2 (50 %)"]


def test_reviews_are_counted_and_those_of_unknown_scans_are_named(tmp_path):
    scans = scans_table()
    scans["review"] = scans["scan_id"].map({"a1": "accepted", "a2": "outdated", "b1": "undecided"})
    html = write(tmp_path / "r.html", scans=scans, reviews={"zz": {"verdict": "rejected"}})
    table = Page(html).table(["Verdict", "All scans"])
    assert [row[:4] for row in table[1:]] == [
        ["Accepted", "1", "1", "0"],
        ["Rejected", "0", "0", "0"],
        ["Only a comment", "1", "0", "1"],
        ["Before it was measured anew", "1", "1", "0"],
        ["Nobody", "3", "2", "1"],
    ]
    assert "scans that the sheet lacks, without effect: zz" in html


def test_long_lists_of_scans_are_folded_and_not_printed(tmp_path):
    scans = pd.concat([scans_table().assign(scan_id=f"s{n}").iloc[4:5] for n in range(61)])
    html = write(tmp_path / "r.html", scans=scans, calcium=calcium_table().iloc[:0])
    assert '<details class="long"><summary>Scans that were not measured, 61 scans' in html


@pytest.mark.parametrize(
    ("value", "digits", "written"),
    [
        (1.25, 1, "1.2"),
        (-0.04, 1, "0.0"),
        (-3.06, 1, "−3.1"),
        (None, 1, "–"),
        (float("nan"), 0, "–"),
    ],
)
def test_numbers(value, digits, written):
    assert number(value, digits) == written


def test_spread_and_p_values():
    assert spread(pd.Series([1.0, 2.0, 3.0]), 1) == "2.0 ± 1.0 (1.0 to 3.0)"
    assert spread(pd.Series([0.625, 0.625]), 3) == "0.625"
    assert spread(pd.Series(dtype=float), 1) == "–"
    written = [p_value(p) for p in (0.00001, 0.0042, 0.3, None)]
    assert written == ["< 0.0001", "0.0042", "0.30", "–"]
