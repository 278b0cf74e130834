"""The QC picture: sides, proportions, colours, and what it says."""

import re
from pathlib import Path

import numpy as np
import pytest
from calcohort.report.picture import CALCIUM_COLOUR, ROOT_COLOUR, compose_qc, draw_qc
from calcohort.volume import Volume, read
from matplotlib.colors import to_rgb
from PIL import Image

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "heart_contrast_crop"
MEASURED = {
    "scan_id": "scan_1",
    "status": "ok",
    "stage": "measure",
    "luminance_hu": 412.4,
    "root_volume_mm3": 15_340.0,
    "mask_rule": "F7",
    "rules": [{"rule": "F7", "threshold_hu": 529.9, "calcium_volume_mm3": 87.65}],
}
EXCLUDED = {
    "scan_id": "scan_2",
    "status": "excluded",
    "stage": "measure",
    "reason": "no_contrast",
    "detail": "the luminance is 43 HU",
}
COLUMNS = {"axial": slice(20, 333), "coronal": slice(343, 656), "sagittal": slice(667, 980)}


def scan(shape=(40, 60, 50), spacing_kji=(1.0, 1.0, 1.0), marker=None) -> Volume:
    array = np.full(shape, -200, dtype=np.int16)
    if marker is not None:
        array[marker] = 1200
    return Volume(array, np.diag([*spacing_kji[::-1], 1.0]))


def pixels(tmp_path, *args) -> np.ndarray:
    draw_qc(*args, tmp_path / "qc.png")
    return np.asarray(Image.open(tmp_path / "qc.png").convert("RGB")).astype(int)


def bright_box(tmp_path, shape, spacing_kji, marker) -> dict[str, tuple[float, ...]]:
    """Per panel, top, bottom, left and right pixel of what the marker changes, from the centre."""
    with_marker = pixels(tmp_path, scan(shape, spacing_kji, marker), None, None, EXCLUDED)
    without = pixels(tmp_path, scan(shape, spacing_kji), None, None, EXCLUDED)
    changed = np.abs(with_marker - without).sum(axis=2) > 300
    boxes = {}
    for name, columns in COLUMNS.items():
        rows, across = np.nonzero(changed[60:600, columns])
        if not rows.size:
            continue
        middle = (columns.stop - columns.start) / 2
        boxes[name] = (
            rows.min() - 272,
            rows.max() - 272,
            across.min() - middle,
            across.max() - middle,
        )
    return boxes


def texts(figure) -> str:
    own = [text.get_text() for text in figure.texts]
    return "\n".join(own + [t.get_text() for axes in figure.axes for t in axes.texts])


def test_patients_left_front_and_head_are_right_up_and_up(tmp_path):
    head, front, left = slice(24, 36), slice(35, 55), slice(5, 22)
    everywhere = slice(None)

    def boxes(*marker):
        return bright_box(tmp_path, (40, 60, 50), (1.0, 1.0, 1.0), marker)

    coronal = boxes(head, everywhere, left)["coronal"]
    assert bottom(coronal) < 0 < left_end(coronal)
    axial = boxes(everywhere, front, left)["axial"]
    assert bottom(axial) < 0 < left_end(axial)
    sagittal = boxes(head, front, everywhere)["sagittal"]
    assert bottom(sagittal) < 0 and right_end(sagittal) < 0


def bottom(box):
    return box[1]


def left_end(box):
    return box[2]


def right_end(box):
    return box[3]


@pytest.mark.parametrize("spacing_kji", [(3.0, 0.5, 0.8), (0.6, 0.5, 0.5), (1.0, 2.0, 0.7)])
def test_a_cube_of_24_mm_is_square_in_every_plane(tmp_path, spacing_kji):
    spacing = np.array(spacing_kji)
    shape = tuple(np.round(60 / spacing).astype(int))
    start, stop = np.round(18 / spacing).astype(int), np.round(42 / spacing).astype(int)
    marker = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    side_mm = (stop - start) * spacing
    boxes = bright_box(tmp_path, shape, spacing_kji, marker)
    for name, (up, across) in {"axial": (1, 2), "coronal": (0, 2), "sagittal": (0, 1)}.items():
        top, bottom, left, right = boxes[name]
        drawn = (bottom - top + 1) / (right - left + 1)
        assert drawn == pytest.approx(side_mm[up] / side_mm[across], rel=0.05)


def test_letters_follow_the_radiological_convention():
    figure = compose_qc(scan(), None, None, EXCLUDED)
    at = {}
    for name, axes in zip(("axial", "coronal", "sagittal"), figure.axes, strict=True):
        letters = [t for t in axes.texts if len(t.get_text()) == 1]
        at[name] = {t.get_text(): t.get_position() for t in letters}
    for name in ("axial", "coronal"):
        assert at[name]["R"][0] < 0.1 and at[name]["L"][0] > 0.9
    assert at["axial"]["A"][1] > 0.9 and at["axial"]["P"][1] < 0.1
    assert at["coronal"]["H"][1] > 0.9 and at["coronal"]["F"][1] < 0.1
    assert at["sagittal"]["A"][0] < 0.1 and at["sagittal"]["P"][0] > 0.9


def test_root_and_calcium_are_drawn_in_their_colours_and_only_then(tmp_path):
    root, calcium = np.zeros((2, 40, 60, 50), dtype=bool)
    root[12:28, 20:40, 15:35] = True
    calcium[18:22, 28:33, 22:28] = True

    def area(image, colour):
        return (np.abs(image - 255 * np.array(to_rgb(colour))).max(axis=2) < 40).sum()

    both = pixels(tmp_path, scan(), root, calcium, MEASURED)
    clean = pixels(tmp_path, scan(), root, np.zeros_like(calcium), MEASURED)
    assert area(both, CALCIUM_COLOUR) > 1000 and area(clean, CALCIUM_COLOUR) == 0
    assert area(both, ROOT_COLOUR) > 500 and area(clean, ROOT_COLOUR) > 500
    bare = pixels(tmp_path, scan(), None, None, EXCLUDED)
    assert area(bare, ROOT_COLOUR) == 0


def test_enlarged_planes_pass_through_the_most_calcium():
    root, calcium = np.zeros((2, 40, 60, 50), dtype=bool)
    root[12:28, 20:40, 15:35] = True
    calcium[25, 21:24, 17:19] = True
    calcium[14, 22, 30] = True
    figure = compose_qc(scan(), root, calcium, MEASURED)
    names = [axes.texts[-2].get_text() for axes in figure.axes]
    assert names[:3] == [
        "axial, slice 20 of 40",
        "coronal, slice 30 of 60",
        "sagittal, slice 25 of 50",
    ]
    assert names[3] == "axial, slice 26 of 40"
    assert names[4] == "coronal, slice 23 of 60", "j = 22 holds 2 + 1 voxels"
    assert names[5] == "sagittal, slice 18 of 50"


def test_scale_bar_has_the_length_it_states():
    spacing = (2.0, 0.5, 0.5)
    root = np.zeros((30, 200, 200), dtype=bool)
    root[10:20, 80:120, 80:120] = True
    figure = compose_qc(scan(root.shape, spacing), root, None, MEASURED)
    for axes in figure.axes:
        stated = float(re.search(r"(\d+) mm", texts_of(axes)).group(1))
        ends = axes.lines[0].get_xdata()
        drawn = (ends[1] - ends[0]) * (axes.get_xlim()[1] - axes.get_xlim()[0])
        assert drawn == pytest.approx(stated)


def texts_of(axes) -> str:
    return "\n".join(t.get_text() for t in axes.texts)


def test_caption_tells_what_was_measured():
    root = np.zeros((40, 60, 50), dtype=bool)
    root[12:28, 20:40, 15:35] = True
    said = texts(compose_qc(scan(), root, root, MEASURED))
    for part in ("scan_1", "measured", "412 HU", "530 HU", "87.7 mm³", "15.3 ml", "Window 1500"):
        assert part in said


@pytest.mark.parametrize("image", [None, scan()])
def test_an_excluded_scan_says_where_and_why(tmp_path, image):
    said = texts(compose_qc(image, None, None, EXCLUDED)).replace("\n", " ")
    assert "Excluded at stage measure: the luminance is 43 HU" in said
    draw_qc(image, None, None, EXCLUDED, tmp_path / "qc.png")
    assert Image.open(tmp_path / "qc.png").size == (1000, 700)


def test_hostile_names_are_drawn_as_they_are(tmp_path):
    record = EXCLUDED | {"scan_id": r"$\frac{1}$", "detail": "costs 5$ or 6$ {0} %s"}
    draw_qc(None, None, None, record, tmp_path / "qc.png")
    assert r"$\frac{1}$" in texts(compose_qc(None, None, None, record))


def test_same_scan_gives_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw_qc(scan(marker=np.s_[5:9, 5:9, 5:9]), None, None, EXCLUDED, tmp_path / name)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


@pytest.mark.skipif(not DATA.is_dir(), reason="../shared/data missing")
def test_real_contrast_is_small_enough_to_embed(tmp_path):
    ct = read(DATA / "ct_cropped.nii.gz")
    root = read(DATA / "pulmonary_artery.nii.gz").array != 0
    draw_qc(ct, root, root & (ct.array > 400), MEASURED, tmp_path / "qc.png")
    assert (tmp_path / "qc.png").stat().st_size < 300_000
