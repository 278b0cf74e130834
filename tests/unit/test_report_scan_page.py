"""The page of a scan: exact where it is measured, repeatable, safe; NiiVue as published."""

import base64
import gzip
import hashlib
import re
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from calcohort.laboratory.voxels import Numbers, RootVoxels
from calcohort.report import ASSETS
from calcohort.report.scan_page import SHOWN_HU, STEP_HU, crop_for_view, write_scan_page
from calcohort.volume import Volume, bounding_slices

SHAPE = (60, 70, 80)
AFFINE = np.array([[0.4, 0, 0, -30], [0, 0.4, 0, 12], [0, 0, 0.8, 100], [0, 0, 0, 1.0]])


@pytest.fixture
def scan():
    rng = np.random.default_rng(0)
    root = np.zeros(SHAPE, bool)
    root[20:30, 1:20, 40:60] = True
    return Volume(rng.integers(-1024, 3000, SHAPE).astype(np.int16), AFFINE), root


def test_the_crop_is_exact_in_the_root_and_lies_where_the_scan_does(scan):
    ct, root = scan
    crop, inside = crop_for_view(ct, root)
    assert crop.array.shape == (10 + 2 * 13, 1 + 19 + 25, 20 + 20 + 25), "10 mm, cut at the edge"
    assert inside.array.sum() == root.sum()
    np.testing.assert_array_equal(crop.array[inside.array == 1], ct.array[root])
    here = np.argwhere(inside.array)[0]
    there = np.argwhere(root)[0]
    np.testing.assert_allclose(crop.grid.world(here), ct.grid.world(there))


def test_around_the_root_values_are_near(scan):
    ct, root = scan
    crop, inside = crop_for_view(ct, root)
    window = ct.array[7:43, 0:45, 15:80]
    around = inside.array == 0
    shown = np.clip(window.astype(int), *SHOWN_HU)
    assert np.abs(crop.array.astype(int) - shown)[around].max() <= STEP_HU // 2
    assert crop.array.dtype == np.int16


def excluded(path, outside="", **record):
    record = {"scan_id": "a", "status": "excluded", "stage": "root", "detail": "why"} | record
    nothing = dict.fromkeys(("ct", "root", "voxels"))
    write_scan_page(path, record=record, reference={}, picture="qc.png", outside=outside, **nothing)
    return path.read_text(encoding="utf-8")


def test_a_scan_outside_of_the_networks_training_says_so(tmp_path):
    html = excluded(tmp_path / "scan.html", "slice spacing 2.500 mm, above 1 mm")
    assert "what the networks were trained on: slice spacing 2.500 mm, above 1 mm." in html
    assert "trained on" not in excluded(tmp_path / "scan.html")


def test_hostile_text_is_escaped(tmp_path):
    html = excluded(tmp_path / "scan.html", detail="<script>alert(1)</script>")
    assert "<script>alert" not in html and "&lt;script&gt;alert" in html


def test_what_is_embedded_is_the_nifti(scan, tmp_path):
    ct, root = scan
    numbers = Numbers(500.0, 20.0, 450.0, 0.128, 26, 0)
    voxels = RootVoxels(ct.array[root], root[bounding_slices(root)], numbers)
    rules = [
        {"rule": "F7", "threshold_hu": 600.0, "calcium_volume_mm3": 5.0, "lesion_count": 2},
    ]
    rules[0] |= {"volume_low_mm3": 3.25, "volume_high_mm3": 7.5, "noise_volume_mm3": 0.4}
    record = {
        "scan_id": "a",
        "status": "ok",
        "luminance_hu": 500.0,
        "root_volume_mm3": 486.4,
        "mask_rule": "F7",
        "rules": rules,
    }
    pages = []
    for name in ("one", "two"):
        write_scan_page(
            tmp_path / name,
            record=record,
            ct=ct,
            root=root,
            voxels=voxels,
            reference={"threshold_hu": 700.0, "volume_mm3": None},
            picture="qc.png",
        )
        pages.append((tmp_path / name).read_text(encoding="utf-8"))
    assert pages[0] == pages[1]
    (text,) = re.findall(r'id="ct">([^<]+)<', pages[0])
    image = nib.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(text)))
    crop, _ = crop_for_view(ct, root)
    np.testing.assert_array_equal(np.asarray(image.dataobj).T, crop.array)
    np.testing.assert_allclose(image.affine, crop.affine)
    assert '<td>5.0</td><td class="interval">3 to 8</td><td>2</td>' in pages[0]
    assert "Noise alone may give 0.4 mm³ of the volume of F7." in pages[0]
    above = (ct.array[root] >= 700).sum() * 0.128
    assert f"<td>{above:.1f}</td>" in pages[0], "the reader's threshold has its volume"


def test_niivue_is_the_file_that_its_readme_names():
    vendored = {path.name: path for path in ASSETS if path.parent.name == "vendor"}
    told = re.search(r"`([0-9a-f]{64})`", vendored["README.md"].read_text())[1]
    assert hashlib.sha256(vendored["niivue.umd.js"].read_bytes()).hexdigest() == told
    licences = vendored["LICENSES.txt"].read_text()
    assert "BSD 2-Clause" in licences and "fflate" in licences


def test_scripts_are_plain_ones_that_open_from_a_folder():
    """Browsers refuse modules, imports and fetches of files where a page is a file itself."""
    for path in ASSETS:
        if path.suffix == ".js" and path.parent.name == "assets":
            text = Path(path).read_text(encoding="utf-8")
            assert '"use strict"' in text
            assert not re.search(r"^\s*(import|export)\b", text, re.MULTILINE), path.name
