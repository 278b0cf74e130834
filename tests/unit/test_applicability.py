"""The applicability gate: one definition for learned and measured scans, ranges, and who left."""

import numpy as np
import pytest
import yaml
from calcohort import volume
from calcohort.applicability import (
    INSIDE,
    QUANTITIES,
    describe_grid,
    describe_records,
    find_ranges,
    judge_records,
    judge_scan,
    ranges_table,
    read_ranges,
    shared_ranges,
    tell_left,
    tell_records,
    write_ranges,
)
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.measure import MeasureSettings, measure_calcium
from calcohort.outcomes import UserError
from calcohort.study import ROOT
from calcohort.training.card import with_ranges
from calcohort.training.description import describe_scan
from calcohort.volume import Volume

AFFINE = np.diag([0.75, 0.5, 0.625, 1.0])
SHAPE = (64, 80, 60)
MIDDLE = {
    "slice_spacing_mm": 0.625,
    "pixel_spacing_mm": 0.45,
    "field_of_view_mm": 200.0,
    "coverage_mm": 150.0,
    "luminance_hu": 500.0,
    "luminance_sd_hu": 25.0,
}
RANGES = {
    "slice_spacing_mm": {"low": 0.5, "high": 1.0, "scans": 9},
    "pixel_spacing_mm": {"low": 0.4, "high": 0.6, "scans": 9},
    "field_of_view_mm": {"low": 160.0, "high": 300.0, "scans": 9},
    "coverage_mm": {"low": 120.0, "high": 200.0, "scans": 9},
    "luminance_hu": {"low": 300.0, "high": 800.0, "scans": 9},
    "luminance_sd_hu": {"low": 10.0, "high": 40.0, "scans": 9},
}


def scan():
    """A box of blood, 500 ± 20 HU, in a body under air: 64 slices of 80 rows and 60 columns."""
    rng = np.random.default_rng(3)
    hu, root = np.full(SHAPE, 40.0), np.zeros(SHAPE, bool)
    hu[:4] = -1000
    root[10:54, 20:60, 12:48] = True
    hu[root] = rng.normal(500, 20, root.sum())
    return Volume(hu.round().astype(np.int16), AFFINE), root


def test_a_grid_is_described_in_mm():
    assert describe_grid(SHAPE, (0.625, 0.5, 0.75)) == pytest.approx(
        {
            "slice_spacing_mm": 0.625,
            "pixel_spacing_mm": 0.5,
            "field_of_view_mm": min(80 * 0.5, 60 * 0.75),
            "coverage_mm": 64 * 0.625,
        }
    )
    narrow = describe_grid((64, 80, 40), (0.625, 0.5, 0.75))
    assert narrow["field_of_view_mm"] == pytest.approx(40 * 0.75)


def test_contrast_and_noise_are_the_luminance_cubes():
    described = describe_scan(*scan())
    assert list(described) == list(QUANTITIES)
    assert described["luminance_hu"] == pytest.approx(500, abs=1)
    assert described["luminance_sd_hu"] == pytest.approx(20, abs=1)


def test_where_the_cube_finds_no_place_contrast_and_noise_are_not_known():
    ct, root = scan()
    root[:] = False
    root[20:30, 30:40, 30:40] = True
    described = describe_scan(ct, root)
    assert described["luminance_hu"] is described["luminance_sd_hu"] is None
    assert described["coverage_mm"] == pytest.approx(40)
    assert describe_scan(ct, root, cube_sides_mm=(3, 4, 4))["luminance_hu"] == pytest.approx(
        500, abs=9
    )


def test_a_learned_and_a_measured_scan_are_described_alike(tmp_path):
    ct, root = scan()
    volume.write(tmp_path / "scan.nii.gz", ct)
    small = Limits(min_slices=2, min_coverage_mm=1)
    series = convert_scan(
        tmp_path / "scan.nii.gz", tmp_path / "ct.nii.gz", series_uid=None, limits=small, key=b"k"
    )
    measured, _ = measure_calcium(ct, root, settings=MeasureSettings())
    learned = describe_scan(volume.read(tmp_path / "ct.nii.gz"), root)
    assert describe_records(series, measured) == pytest.approx(learned, abs=1e-6)


def test_ranges_of_up_to_a_hundred_scans_are_the_least_and_the_most():
    described = [MIDDLE | {"luminance_hu": 300.04 + n} for n in range(100)]
    ranges = find_ranges(described)
    assert ranges["luminance_hu"] == {"low": 300.0, "high": 399.0, "scans": 100}
    assert ranges["slice_spacing_mm"] == {"low": 0.625, "high": 0.625, "scans": 100}
    assert all(judge_scan(scan, ranges) == INSIDE for scan in described)


def test_rare_scans_do_not_widen_the_ranges_of_many():
    described = [MIDDLE | {"coverage_mm": float(n)} for n in range(1, 1001)]
    assert find_ranges(described)["coverage_mm"] == {"low": 10.0, "high": 991.0, "scans": 1000}


def test_what_is_not_known_counts_in_no_range():
    described = [MIDDLE | {"luminance_hu": None, "luminance_sd_hu": sd} for sd in (20.0, None)]
    ranges = find_ranges(described)
    assert "luminance_hu" not in ranges
    assert ranges["luminance_sd_hu"] == {"low": 20.0, "high": 20.0, "scans": 1}
    assert judge_scan(MIDDLE | {"luminance_hu": 5000.0, "luminance_sd_hu": 20.0}, ranges) == INSIDE


def test_a_scan_inside_and_on_the_edges_is_not_flagged():
    assert judge_scan(MIDDLE, RANGES) == INSIDE
    for end in ("low", "high"):
        assert judge_scan({name: ends[end] for name, ends in RANGES.items()}, RANGES) == INSIDE
    assert judge_scan(MIDDLE | {"slice_spacing_mm": 1.0000004}, RANGES) == INSIDE, "rounding"


@pytest.mark.parametrize("name", QUANTITIES)
def test_the_range_that_was_left_is_named_with_its_side(name):
    step = 10.0 ** -QUANTITIES[name].digits
    low, high = RANGES[name]["low"], RANGES[name]["high"]
    assert judge_scan(MIDDLE | {name: low - step}, RANGES) == f"{name} below {low:g}"
    assert judge_scan(MIDDLE | {name: high + step}, RANGES) == f"{name} above {high:g}"
    assert judge_scan(MIDDLE | {name: None}, RANGES) == INSIDE


def test_several_ranges_are_named_and_told_in_words():
    described = MIDDLE | {"slice_spacing_mm": 2.5, "luminance_hu": 212.34}
    outside = judge_scan(described, RANGES)
    assert outside == "slice_spacing_mm above 1, luminance_hu below 300"
    assert tell_left(outside, described) == (
        "slice spacing 2.500 mm, above 1 mm; contrast (Lm) 212.3 HU, below 300 HU"
    )


SERIES = {
    "status": "ok",
    "slices": 60,
    "rows": 400,
    "columns": 420,
    "slice_spacing_mm": 2.5,
    "pixel_spacing_mm": [0.5, 0.5],
}


def test_a_scan_without_a_root_is_judged_by_its_grid():
    ended = {"status": "excluded", "reason": "root_not_found"}
    assert judge_records(SERIES, ended, RANGES) == "slice_spacing_mm above 1"
    assert tell_records(SERIES, ended, RANGES) == "slice spacing 2.500 mm, above 1 mm"


def test_nothing_is_judged_where_no_network_looked_or_its_training_is_not_known():
    assert judge_records(SERIES, {}, None) is None
    assert judge_records({"status": "excluded"}, {}, RANGES) is None
    assert tell_records(SERIES, {}, None) == ""
    assert tell_records(SERIES | {"slice_spacing_mm": 0.625 * 4}, {}, {}) == ""


def test_ranges_are_read_as_they_were_written(tmp_path):
    write_ranges(tmp_path / "ranges.yaml", "9 scans", RANGES)
    assert read_ranges(tmp_path / "ranges.yaml") == {"scans": "9 scans", "ranges": RANGES}
    assert (tmp_path / "ranges.yaml").read_text().count("\n") == 9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (None, "does not exist; name the ranges"),
        ("{scans: a, ranges: {luminance_hu: {low: 1", "is not YAML"),
        ("scans: a", "top level: 'ranges' is a required property"),
        ("{scans: a, ranges: {kv: {low: 1, high: 2, scans: 3}}}", "ranges: Additional properties"),
        ("{scans: a, ranges: {luminance_hu: {low: 1, high: x, scans: 3}}}", "'x' is not of type"),
        ("{scans: a, ranges: {luminance_hu: {low: 3, high: 2, scans: 3}}}", "low is above high"),
    ],
)
def test_a_file_that_is_not_of_ranges_is_told_in_a_sentence(tmp_path, text, told):
    path = tmp_path / "ranges.yaml"
    if text:
        path.write_text(text)
    with pytest.raises(UserError, match=told):
        read_ranges(path)


def test_two_networks_share_what_both_were_trained_on(tmp_path):
    one, other = tmp_path / "one.yaml", tmp_path / "other.yaml"
    write_ranges(one, "9 scans", RANGES)
    wider = {"luminance_hu": {"low": 200.0, "high": 600.0, "scans": 4}}
    write_ranges(other, "4 scans", RANGES | wider)
    shared = shared_ranges([one, other])
    assert shared["luminance_hu"] == {"low": 300.0, "high": 600.0}
    assert shared["coverage_mm"] == {"low": 120.0, "high": 200.0}
    assert judge_scan(MIDDLE | {"luminance_hu": 700.0}, shared) == "luminance_hu above 600"
    write_ranges(other, "4 scans", wider)
    assert list(shared_ranges([one, other])) == ["luminance_hu"]
    assert shared_ranges([one, None]) is None


def test_the_shipped_weights_have_ranges_and_their_card_prints_them():
    protocol = yaml.safe_load((ROOT / "protocols/aortic_root.yaml").read_text())
    for stage, path in protocol["trained_on"].items():
        assert (ROOT / path).parent == (ROOT / protocol[stage]["network"]["weights"]).parent
        found = read_ranges(ROOT / path)
        assert set(found["ranges"]) == set(QUANTITIES)
        card = (ROOT / path).with_name("MODEL_CARD.md").read_text(encoding="utf-8")
        assert with_ranges(card, **found) == card
        assert ranges_table(found["ranges"]) in card


def test_the_section_of_a_card_is_replaced_and_must_be_there():
    card = "# Card\n\n## Ranges\nold\n\n| old |\n\n## Limits\n- many\n"
    new = with_ranges(card, "9 scans", RANGES)
    assert "old" not in new and new.endswith("\n\n## Limits\n- many\n")
    assert "| noise (SD in the luminance cube), HU | 10 | 40 | 9 |" in new
    assert with_ranges(new, "9 scans", RANGES) == new
    assert with_ranges("# Card\n## Ranges\n", "9 scans", RANGES).count("## Ranges") == 1
    with pytest.raises(UserError, match="no section"):
        with_ranges("# Card\n", "9 scans", RANGES)
