"""The pages as people use them: offline, by keyboard, with the numbers of the tables."""

import io
import shutil
import threading

import numpy as np
import pytest
from calcohort.measure.lesions import measure_lesions
from calcohort.report.server import GalleryServer
from calcohort.reviews import read_reviews
from calcohort.tables import read_table
from PIL import Image
from study import AFFINE, EXCLUDED, SCANS, STRICT, make_scan

ORANGE_SHARE = 1e-4


def open_page(page, url):
    page.goto(url)
    page.locator("html[data-ready=yes]").wait_for(state="attached")


def scan_url(results, scan_id):
    return (results / "scans" / scan_id / "scan.html").as_uri()


def gallery_url(results):
    return (results / "cohort/gallery.html").as_uri()


def orange(page) -> float:
    """Share of the viewer's pixels that are the colour of calcium."""
    page.wait_for_timeout(300)
    pixels = np.asarray(Image.open(io.BytesIO(page.locator("#viewer").screenshot())).convert("RGB"))
    red, green, blue = np.moveaxis(pixels.astype(int), -1, 0)
    return float(((red > 150) & (red - blue > 90) & (green - blue > 30)).mean())


def shown(page) -> tuple[float, int]:
    """Volume and lesions that a scan's page shows."""
    return float(page.locator("#volume").inner_text()), int(page.locator("#lesions").inner_text())


@pytest.mark.parametrize("scan_id", ["scan-01", STRICT])
def test_a_scan_shows_the_numbers_of_the_table_at_every_rule(page, results, scan_id):
    open_page(page, scan_url(results, scan_id))
    calcium = read_table(results / "cohort/calcium.csv")
    rows = calcium[calcium["scan_id"] == scan_id]
    assert len(rows) == 7
    for row in rows.to_dict("records"):
        page.get_by_role("button", name=row["rule"], exact=True).click()
        volume, lesions = shown(page)
        assert volume == pytest.approx(row["calcium_volume_mm3"], abs=0.0501)
        assert lesions == row["lesion_count"]


@pytest.mark.parametrize("scan_id", ["scan-01", STRICT])
def test_the_slider_by_keyboard_counts_as_the_library_does(page, results, scan_id):
    open_page(page, scan_url(results, scan_id))
    page.locator("#threshold").focus()
    for key in ("ArrowRight", "ArrowRight", "PageDown", "ArrowLeft"):
        page.keyboard.press(key)
    threshold = float(page.locator("#threshold").input_value())
    assert float(page.locator("#threshold-box").input_value()) == threshold
    ct, root = make_scan(int(scan_id[-2:]))
    few = (6, 5) if scan_id == STRICT else (26, 0)
    voxel_mm3 = abs(np.linalg.det(AFFINE[:3, :3]))
    found, _ = measure_lesions(ct.array, root, threshold, voxel_mm3, *few)
    assert found["calcium_volume_mm3"] > 0
    volume, lesions = shown(page)
    assert volume == pytest.approx(found["calcium_volume_mm3"], abs=0.0501)
    assert lesions == found["lesion_count"]


def test_the_calcium_is_seen_and_follows_threshold_and_opacity(page, results):
    open_page(page, scan_url(results, "scan-01"))
    at_f7 = orange(page)
    assert at_f7 > ORANGE_SHARE
    page.locator("#threshold-box").fill("1390")
    assert orange(page) < at_f7 / 2
    page.get_by_role("button", name="F7", exact=True).click()
    assert orange(page) == pytest.approx(at_f7, rel=0.05)
    page.locator("#calcium-opacity").fill("0")
    assert orange(page) < ORANGE_SHARE / 10


def test_the_crosshair_moves_by_keyboard_and_tells_hu(page, results):
    open_page(page, scan_url(results, "scan-01"))
    page.locator("#viewer").focus()
    before = page.locator("#where").inner_text()
    page.keyboard.press("ArrowUp")
    page.wait_for_timeout(200)
    after = page.locator("#where").inner_text()
    assert " HU at voxel " in after and after != before


def test_a_scan_that_was_not_measured_says_why(page, results):
    page.goto(scan_url(results, EXCLUDED))
    assert "Excluded at stage convert: an MR" in page.inner_text("main")
    assert page.locator("canvas").count() == 0


def test_pages_ask_for_nothing_outside_their_folder(page, results):
    for url in (scan_url(results, "scan-01"), gallery_url(results)):
        open_page(page, url)
    page.goto((results / "cohort/report.html").as_uri())
    page.wait_for_timeout(500)
    assert len(page.requests) > 5
    inside = (results.as_uri(), "data:", "blob:")
    assert [url for url in page.requests if not url.startswith(inside)] == []


def test_the_gallery_pages_by_keyboard_and_shows_the_picture_of_its_name(page, results):
    open_page(page, gallery_url(results))
    seen = []
    for _ in range(SCANS + 3):
        name = page.locator("#name").inner_text()
        assert f"/scans/{name}/qc.png" in page.locator("#frame img").get_attribute("src")
        seen.append(name)
        page.keyboard.press("ArrowRight")
    assert seen == [*(f"scan-{n:02d}" for n in range(1, SCANS + 1)), EXCLUDED, EXCLUDED, EXCLUDED]
    page.keyboard.press("Home")
    assert page.locator("#name").inner_text() == "scan-01"
    page.keyboard.press("Enter")
    page.wait_for_url("**/scan-01/scan.html")


def test_the_gallery_filters_and_sorts(page, results):
    open_page(page, gallery_url(results))
    page.select_option("#status", "excluded")
    assert page.locator("#count").inner_text() == f"1 of {SCANS + 1} scans"
    assert page.locator("#name").inner_text() == EXCLUDED
    assert "no series of the folder is CT" in page.locator("#outcome").inner_text()
    page.select_option("#status", "")
    page.fill("#search", "SCAN-0")
    assert page.locator("#count").inner_text() == f"9 of {SCANS + 1} scans"
    page.fill("#search", "nowhere")
    assert page.locator(".row").count() == 0
    page.fill("#search", "")
    page.select_option("#order", "volume")
    calcium = read_table(results / "cohort/calcium.csv")
    most = calcium[calcium["rule"] == "F7"].sort_values("calcium_volume_mm3").iloc[-1]["scan_id"]
    page.locator("#list").focus()
    page.keyboard.press("Home")
    assert page.locator("#name").inner_text() == most


def test_marks_made_from_a_folder_stay_and_become_the_csv(page, results, tmp_path):
    open_page(page, gallery_url(results))
    page.fill("#reviewer", "AB")
    page.locator("#list").focus()
    page.keyboard.press("a")
    page.keyboard.press("c")
    page.keyboard.type('cut, too "low"')
    page.keyboard.press("Escape")
    page.keyboard.press("r")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    page.keyboard.type("=look again")
    page.keyboard.press("Escape")
    assert "1 accepted, 1 rejected, 1 undecided, 9 not" in page.locator("#progress").inner_text()
    page.reload()
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    assert "1 accepted, 1 rejected, 1 undecided, 9 not" in page.locator("#progress").inner_text()
    (tmp_path / "reviews.csv").write_text(page.evaluate("Reviews.csv()"), encoding="utf-8")
    reviews = read_reviews(tmp_path / "reviews.csv")
    assert [reviews[s]["verdict"] for s in sorted(reviews)] == ["accepted", "rejected", "undecided"]
    assert reviews["scan-02"]["comment"] == 'cut, too "low"'
    assert reviews["scan-02"]["reviewer"] == "AB"
    page.fill("#search", "scan-02")
    page.locator("#list").focus()
    page.keyboard.press("u")
    assert "1 accepted, 0 rejected" in page.locator("#progress").inner_text()


def test_the_file_is_saved_or_the_page_says_that_it_was_not(page, results, tmp_path):
    open_page(page, gallery_url(results))
    page.keyboard.press("a")
    page.evaluate("window.showSaveFilePicker = undefined")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save reviews.csv").click()
    download.value.save_as(tmp_path / "reviews.csv")
    assert read_reviews(tmp_path / "reviews.csv")["scan-01"]["verdict"] == "accepted"
    page.evaluate("void (window.showSaveFilePicker = () => Promise.reject(new Error('cancelled')))")
    page.get_by_role("button", name="Save reviews.csv").click()
    assert page.locator("#saved").inner_text() == "Not saved: cancelled"


def test_a_mark_of_an_earlier_measurement_is_shown_and_not_counted(page, served):
    earlier = {"scan_id": "scan-01", "verdict": "rejected", "comment": "cut", "reviewer": "CD"}
    served.keep(earlier | {"measurement": "0123456789ab"})
    open_page(page, served.url)
    assert "0 rejected" in page.locator("#progress").inner_text()
    told = page.locator("#outdated")
    assert "rejected by CD" in told.inner_text()
    assert "before it was measured anew: cut. Look again." in told.inner_text()
    page.locator("#list").focus()
    page.keyboard.press("a")
    page.locator("#saved", has_text="scan-01 saved").wait_for()
    page.keyboard.press("ArrowLeft")
    assert "1 accepted" in page.locator("#progress").inner_text()
    assert not told.is_visible()


@pytest.fixture
def served(results, tmp_path):
    table = read_table(results / "cohort/scans.csv")
    server = GalleryServer(results, tmp_path / "reviews.csv", table["scan_id"])
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def test_marks_made_through_the_server_are_in_the_file_at_once(page, served):
    open_page(page, served.url)
    page.fill("#reviewer", "CD")
    page.locator("#list").focus()
    page.keyboard.press("r")
    page.locator("#saved", has_text="scan-01 saved").wait_for()
    assert page.locator("#name").inner_text() == "scan-02"
    review = read_reviews(served.reviews)["scan-01"]
    assert (review["verdict"], review["reviewer"]) == ("rejected", "CD")
    measured = read_table(served.results / "cohort/scans.csv").set_index("scan_id")["measurement"]
    assert review["measurement"] == measured["scan-01"]
    page.reload()
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    assert "1 rejected" in page.locator("#progress").inner_text()
    assert all(url.startswith(("http://127.0.0.1:", "data:")) for url in page.requests)


def test_a_mark_that_was_not_saved_is_told_and_not_counted(page, served):
    open_page(page, served.url)
    served.reviews.write_text("scan_id\nx\n")
    page.locator("#list").focus()
    page.keyboard.press("a")
    page.locator("#saved.failed").wait_for()
    assert "was NOT saved" in page.locator("#saved").inner_text()
    assert "0 accepted" in page.locator("#progress").inner_text()
    assert page.locator("#name").inner_text() == "scan-01"
    page.complaints[:] = [said for said in page.complaints if "400" not in said]


def test_a_list_of_thousands_draws_only_what_is_seen(page, results, tmp_path):
    shutil.copytree(results / "cohort/assets", tmp_path / "assets")
    text = (results / "cohort/gallery.html").read_text(encoding="utf-8")
    (tmp_path / "gallery.html").write_text(text, encoding="utf-8")
    page.goto((tmp_path / "gallery.html").as_uri())
    page.evaluate(
        "for (let n = 0; n < 5000; n++) scans.push({...scans[0], id: `more-${n}`, place: 99 + n});"
        "applyFilters()"
    )
    page.locator("#list").focus()
    page.keyboard.press("End")
    assert page.locator("#name").inner_text() == "more-4999"
    assert 10 < page.locator(".row").count() < 100
    page.complaints[:] = [said for said in page.complaints if "ERR_FILE_NOT_FOUND" not in said]


@pytest.mark.parametrize("name", ["report", "gallery", "scan"])
def test_pages_are_accessible_by_axe(page, results, name):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    url = (results / f"cohort/{name}.html").as_uri()
    page.goto(scan_url(results, "scan-01") if name == "scan" else url)
    page.wait_for_timeout(1500)
    found = axe.run(page, options={"preload": False}).response["violations"]
    assert [(v["id"], [node["html"][:120] for node in v["nodes"]]) for v in found] == []


def test_the_report_prints_without_the_lists_of_scans(page, results, tmp_path):
    page.goto((results / "cohort/report.html").as_uri())
    page.pdf(path=tmp_path / "report.pdf")
    assert (tmp_path / "report.pdf").stat().st_size > 20_000
