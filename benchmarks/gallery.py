"""How fast the gallery turns to the next picture, and scrolls, in headless Chromium.

PYTHONPATH=workflow_scripts python benchmarks/gallery.py results/gallery --scans 5000

The pictures are a hundred different ones of the size of QC pictures, linked under all names.
"""

import argparse
import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
from calcohort.report.gallery import write_assets, write_gallery
from calcohort.report.picture import draw_qc
from calcohort.volume import Volume
from playwright.sync_api import Page, sync_playwright

PICTURES, TURNS, PAUSE_MS = 100, 200, 300
FLAGS = ("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")

TURN = """async ([turns, pauseMs]) => {
  const list = document.getElementById("list");
  const took = [];
  for (let turn = 0; turn < turns; turn++) {
    const pressed = performance.now();
    list.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
    await document.querySelector("#frame img").decode();
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    took.push(performance.now() - pressed);
    if (pauseMs) await new Promise((done) => setTimeout(done, pauseMs));
  }
  return took;
}"""

SCROLL = """async (frames) => {
  const list = document.getElementById("list");
  const took = [];
  let before = performance.now();
  for (let frame = 0; frame < frames; frame++) {
    list.scrollTop = ((frame + 1) / frames) * list.scrollHeight;
    await new Promise(requestAnimationFrame);
    const now = performance.now();
    took.push(now - before);
    before = now;
  }
  return took;
}"""


def write_pictures(folder: Path) -> list[Path]:
    """Draw `PICTURES` QC pictures of noise around a bright root."""
    rng = np.random.default_rng(0)
    drawn = []
    for number in range(PICTURES):
        hu = rng.normal(100, 150, (128, 160, 160))
        root = np.zeros(hu.shape, bool)
        root[40:80, 60:100, 60:100] = True
        hu[root] += 400
        rule = {"rule": "F7", "threshold_hu": 600, "calcium_volume_mm3": 1.0}
        record = {"scan_id": f"{number}", "status": "ok", "luminance_hu": 500.0}
        record |= {"root_volume_mm3": 9000.0, "mask_rule": "F7", "rules": [rule]}
        ct = Volume(hu.astype(np.int16), np.diag([0.8, 0.8, 0.8, 1.0]))
        path = folder / "pictures" / f"{number}.png"
        draw_qc(ct, root, root & (hu > 900), record, path)
        drawn.append(path)
    return drawn


def write_study(folder: Path, scans: int) -> Path:
    """Write a gallery of `scans` scans and link their pictures; return its page."""
    pictures = write_pictures(folder)
    ids = [f"scan-{number:05d}" for number in range(scans)]
    for number, scan_id in enumerate(ids):
        scan = folder / "scans" / scan_id
        scan.mkdir(parents=True, exist_ok=True)
        (scan / "qc.png").unlink(missing_ok=True)
        os.link(pictures[number % PICTURES], scan / "qc.png")
    numbers = {"threshold_hu": 600.0, "luminance_hu": 500.0, "root_volume_mm3": 15_000.0}
    calcium = pd.DataFrame({"scan_id": ids, "rule": "F7", "calcium_volume_mm3": 1.0} | numbers)
    table = pd.DataFrame({"scan_id": ids, "status": "measured", "stage": "measure"})
    page = folder / "cohort/gallery.html"
    shown = {"outliers": [], "reviews": {}, "rule": "F7", "scan_pages": False}
    write_gallery(page, scans=table, calcium=calcium, **shown)
    write_assets(folder / "cohort/assets")
    return page


def tell(name: str, took_ms: list[float]) -> None:
    """Print median, 95th percentile and longest of times in ms."""
    median, high = np.percentile(took_ms, [50, 95])
    print(f"{name:44}{median:8.1f}{high:8.1f}{max(took_ms):8.1f}", flush=True)


def measure(page: Page, url: str) -> None:
    """Open the gallery, turn pictures and scroll the list."""
    page.goto(url)
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    opened = page.evaluate("performance.now()")
    print(f"{'':44}{'median':>8}{'95 %':>8}{'longest':>8}  ms")
    tell("page opened", [opened])
    tell(f"next picture, {PAUSE_MS} ms after the last", page.evaluate(TURN, [TURNS, PAUSE_MS]))
    tell("next picture, at once", page.evaluate(TURN, [TURNS, 0]))
    tell("frame, while the list scrolls to its end", page.evaluate(SCROLL, 300))


def main() -> None:
    """Print times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--scans", type=int, default=5000)
    asked = parser.parse_args()
    gallery = write_study(asked.folder, asked.scans)
    size = np.mean([path.stat().st_size for path in (asked.folder / "pictures").iterdir()]) / 1e6
    load = os.getloadavg()[0]
    print(
        f"{asked.scans} scans, pictures of {size:.2f} MB, {os.cpu_count()} cores, load {load:.1f}"
    )
    with sync_playwright() as playwright:
        path = shutil.which("chromium")
        browser = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        measure(browser.new_page(viewport={"width": 1400, "height": 1000}), gallery.as_uri())
        browser.close()


if __name__ == "__main__":
    main()
