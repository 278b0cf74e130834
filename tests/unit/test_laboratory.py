"""The laboratory gives the numbers of the measuring step, and reads formulas safely."""

import numpy as np
import pandas as pd
import pytest
from calcohort.laboratory.fit import GRID_K, fit_k, thresholds_on_grid
from calcohort.laboratory.formula import evaluate, parse
from calcohort.laboratory.laboratory import compare_rules
from calcohort.laboratory.score import PUBLISHED, Laboratory
from calcohort.laboratory.voxels import read_voxels, take_voxels, write_voxels
from calcohort.measure import RULES, MeasureSettings, measure_calcium
from calcohort.outcomes import UserError
from calcohort.volume import Volume

SHAPE = (44, 50, 48)
AFFINE = np.diag([0.5, 0.5, 0.625, 1.0])
ROOT = (slice(4, 40), slice(6, 42), slice(6, 42))


def scan(seed, blood_hu=500.0):
    """A noisy box of blood, its foot 80 HU darker, with deposits."""
    rng = np.random.default_rng(seed)
    hu = rng.normal(40, 25, SHAPE)
    hu[ROOT] = rng.normal(blood_hu, 25, (36, 36, 36))
    hu[4:12, 6:42, 6:42] -= 80
    for k, j, i in rng.integers((6, 8, 8), (14, 36, 36), (6, 3)):
        hu[k : k + 4, j : j + 4, i : i + 4] = rng.integers(700, 1400)
    root = np.zeros(SHAPE, bool)
    root[ROOT] = True
    return Volume(hu.astype(np.int16), AFFINE), root


def stored(seed, path, blood_hu=500.0, **choices):
    ct, root = scan(seed, blood_hu)
    settings = MeasureSettings(**choices)
    findings, _ = measure_calcium(ct, root, settings=settings)
    voxels = take_voxels(
        ct,
        root,
        luminance_hu=findings["luminance_hu"],
        luminance_sd_hu=findings["luminance_sd_hu"],
        connectivity=settings.connectivity,
        min_lesion_voxels=settings.min_lesion_voxels,
    )
    write_voxels(path, voxels)
    return findings


@pytest.mark.parametrize("choices", [{}, {"min_lesion_voxels": 5, "connectivity": 6}])
def test_rules_are_scored_as_they_were_measured(tmp_path, choices):
    findings = stored(1, tmp_path / "v.npz", **choices)
    scored = {
        row["rule"]: row for row in Laboratory(0.2).score("a", read_voxels(tmp_path / "v.npz"))
    }
    assert list(scored) == [*RULES, *PUBLISHED]
    for measured in findings["rules"]:
        row = scored[measured["rule"]]
        assert row["threshold_hu"] == measured["threshold_hu"]
        assert row["calcium_volume_mm3"] == measured["calcium_volume_mm3"]
    assert findings["rules"][0]["calcium_volume_mm3"] > 0


def test_storing_is_exact_and_repeatable(tmp_path):
    stored(2, tmp_path / "a.npz")
    stored(2, tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    ct, root = scan(2)
    found = read_voxels(tmp_path / "a.npz")
    assert found.hu.dtype == np.int16
    np.testing.assert_array_equal(found.hu, ct.array[root])
    assert found.root.sum() == root.sum()


def test_the_outflow_is_that_of_the_foot(tmp_path):
    stored(3, tmp_path / "v.npz")
    numbers = read_voxels(tmp_path / "v.npz").numbers
    assert numbers.outflow_hu == pytest.approx(420, abs=3)
    assert numbers.luminance_hu == pytest.approx(500, abs=3)
    dark = numbers.__class__(**(vars(numbers) | {"outflow_hu": 299.0}))
    assert Laboratory(0.2).thresholds_hu(numbers)["450/850"] == 850
    assert Laboratory(0.2).thresholds_hu(dark)["450/850"] == 450


def test_a_damaged_file_is_told(tmp_path):
    stored(4, tmp_path / "v.npz")
    whole = (tmp_path / "v.npz").read_bytes()
    (tmp_path / "v.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="damaged"):
        read_voxels(tmp_path / "v.npz")


VALUES = {"Lm": 500.0, "sd": 20.0, "outflow": 280.0, "k": 0.2}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("650", 650),
        ("Lm + k * (1000 - Lm)", 600),
        ("max(600, Lm + 4 * sd, 520)", 600),
        ("-(-Lm) / 2", 250),
        ("450 if outflow < 300 else 850", 450),
        ("1 if 2 >= 3 else (2 if k <= 0.2 else 3)", 2),
    ],
)
def test_formulas_are_arithmetic(formula, expected):
    assert evaluate("mine", parse("mine", formula), VALUES) == expected


@pytest.mark.parametrize(
    "formula",
    [
        "",
        "Lm +",
        "__import__('os').system('true')",
        "Lm.real",
        "Lm ** 99",
        "[1][0]",
        "hu",
        "True",
        "'650'",
        "(lambda: 1)()",
        "max(Lm)",
        "max(Lm, 1, key=abs)",
        "Lm if 1 < 2 < 3 else 1",
        "Lm if k else 1",
        "Lm := 3",
        "1j",
        "Lm" + " + 1" * 60,
        "(" * 90 + "1" + ")" * 90 + "\0",
    ],
)
def test_anything_else_is_refused(formula):
    with pytest.raises(UserError, match=r"laboratory\.rules\.mine"):
        parse("mine", formula)


@pytest.mark.parametrize("formula", ["Lm / 0", "1 / (k - k)", "1e308 * 10"])
def test_a_formula_without_a_finite_threshold_is_told(formula):
    with pytest.raises(UserError, match=r"no finite threshold at Lm = 500"):
        evaluate("mine", parse("mine", formula), VALUES)


def test_a_rule_of_the_laboratory_cannot_be_redefined():
    with pytest.raises(UserError, match="F7 exists already"):
        Laboratory(0.2, {"F7": "Lm"})


def test_the_fit_finds_the_k_that_made_the_thresholds():
    luminance = np.linspace(350, 750, 40)
    error = np.random.default_rng(0).normal(0, 10, 40)
    automatic = np.array([thresholds_on_grid(lm) for lm in luminance])
    exact = fit_k(automatic, luminance + 0.3 * (1000 - luminance), 0.2)
    assert exact["k"] == exact["k_ci_low"] == exact["fold_k_high"] == pytest.approx(0.3)
    assert exact["held_out_mae"] == pytest.approx(0, abs=1e-9)
    noisy = fit_k(automatic, luminance + 0.3 * (1000 - luminance) + error, 0.2)
    assert noisy["k_ci_low"] < 0.3 < noisy["k_ci_high"]
    assert noisy["fold_k_low"] <= noisy["k"] <= noisy["fold_k_high"]
    assert noisy["folds"] == 10
    by_hand = [np.abs(automatic[:, g] - luminance - 0.3 * (1000 - luminance) - error).mean()
               for g in range(GRID_K.size)]  # fmt: skip
    assert noisy["k"] == GRID_K[np.argmin(by_hand)]


def test_held_out_scans_do_not_help_their_own_fit():
    """Four scans at k = 0.2 and one at 0.6: left out, that one is measured at 0.2."""
    luminance = np.full(5, 500.0)
    reference = 500 + 500 * np.array([0.2, 0.2, 0.2, 0.2, 0.6])
    found = fit_k(np.array([thresholds_on_grid(lm) for lm in luminance]), reference, 0.2)
    assert found["folds"] == 5
    assert found["held_out_mae"] == pytest.approx(200 / 5)


def test_too_few_scans_are_not_fitted():
    assert fit_k(np.zeros((4, GRID_K.size)), np.zeros(4), 0.2) == {"n": 4, "configured_k": 0.2}


def test_a_cohort_is_scored_and_fitted(tmp_path):
    paths, rows = {}, []
    for n in range(6):
        paths[f"s{n}"] = tmp_path / f"{n}.npz"
        found = stored(n, paths[f"s{n}"], blood_hu=450 + 30 * n)
        threshold = found["luminance_hu"] + 0.4 * (1000 - found["luminance_hu"])
        row = {"scan_id": f"s{n}", "status": "measured", "reference_threshold_hu": threshold}
        rows.append(row)
    paths["out"] = tmp_path / "empty.npz"
    paths["out"].touch()
    paths["rejected"] = paths["s0"]
    rejected = rows[0] | {"scan_id": "rejected", "status": "excluded"}
    scans = pd.DataFrame([*rows, rejected, {"scan_id": "out", "status": "failed"}])
    asked = {"k": 0.2, "formulas": {"mine": "Lm + 0.4 * (1000 - Lm)"}}
    tables = compare_rules(scans, paths, **asked)
    assert len(tables.scores) == 6 * 13
    of_mine = tables.agreement.set_index("rule").loc["mine"]
    assert of_mine["mae"] == pytest.approx(0, abs=1e-9)
    assert set(tables.agreement["quantity"]) == {"threshold_hu"}
    (fit,) = tables.fits.to_dict("records")
    assert fit["k"] == pytest.approx(0.4)
