"""Statistics of agreement against published and hand-computed numbers."""

import numpy as np
import pytest
from calcohort.agreement.concordance import ZEROS, intraclass_correlation
from calcohort.agreement.regression import deming_slope
from calcohort.agreement.statistics import STATISTICS, agree
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

# Bland & Altman 1986, Table 1: peak expiratory flow of 17 subjects in l/min, first measurements.
WRIGHT = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
MINI = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]


def test_peak_flow_of_bland_and_altman_1986():
    found = agree(WRIGHT, MINI)
    assert found["n"] == 17
    assert round(found["bias"], 1) == -2.1
    assert round(found["sd"], 1) == 38.8
    # Printed limits, from the rounded numbers: -2.1 ± 2 x 38.8 = -79.7 and 75.5.
    assert found["bias"] - 2 * found["sd"] == pytest.approx(-79.7, abs=0.1)
    assert found["bias"] + 2 * found["sd"] == pytest.approx(75.5, abs=0.1)
    assert found["loa_low"] == pytest.approx(found["bias"] - 1.96 * found["sd"])
    assert round(found["pearson_r"], 2) == 0.94
    # Their intervals: bias -22.0 to 17.8; limits at ± 2 SD -114.3 to -45.1 and 40.9 to 110.1.
    assert found["bias_ci_low"] == pytest.approx(-22.0, abs=0.06)
    assert found["bias_ci_high"] == pytest.approx(17.8, abs=0.06)
    wider = 0.04 * found["sd"]
    assert found["loa_low_ci_low"] - wider == pytest.approx(-114.3, abs=0.2)
    assert found["loa_low_ci_high"] - wider == pytest.approx(-45.1, abs=0.2)
    assert found["loa_high_ci_low"] + wider == pytest.approx(40.9, abs=0.2)
    assert found["loa_high_ci_high"] + wider == pytest.approx(110.1, abs=0.2)


@pytest.mark.parametrize(
    ("bias", "sd", "low", "high"),
    [(7.55, 33.722, -58.55, 73.64), (-0.49, 29.235, -57.79, 56.81)],
    ids=["threshold", "volume"],
)
def test_limits_of_the_paper(bias, sd, low, high):
    reference = np.linspace(400, 900, 33)
    error = np.random.default_rng(0).normal(size=33)
    error = bias + sd * (error - error.mean()) / error.std(ddof=1)
    found = agree(reference + error, reference)
    assert found["bias"] == pytest.approx(bias)
    assert found["loa_low"] == pytest.approx(low, abs=0.01)
    assert found["loa_high"] == pytest.approx(high, abs=0.01)


TABLE_2 = {  # mean and SD of |error|, R², of 30 scans
    "F1": (94.90, 96.81, -0.26),
    "F2": (107.96, 66.25, -0.11),
    "F3": (162.83, 86.42, -1.35),
    "F4": (76.77, 33.33, 0.52),
    "F5": (72.42, 42.01, 0.52),
    "F6": (215.27, 71.90, -2.57),
    "F7": (29.58, 25.81, 0.89),
}


@pytest.mark.parametrize("rule", TABLE_2)
def test_r2_follows_from_the_absolute_errors_of_table_2(rule):
    """R² about the identity line and SD with n - 1 make the paper's Table 2 consistent."""
    mae, mae_sd, r2 = TABLE_2[rule]
    sizes = np.random.default_rng(0).normal(size=30)
    sizes = mae + mae_sd * (sizes - sizes.mean()) / sizes.std(ddof=1)
    reference = np.linspace(-1, 1, 30)
    reference = 660.8 + np.sqrt(14364 / reference.var()) * reference  # solved from F1, F2, F3
    errors = np.where(np.arange(30) % 2, sizes, -sizes)
    found = agree(reference + errors, reference)
    assert found["r2"] == pytest.approx(r2, abs=0.006)


def test_errors_by_hand():
    # errors 1, -1, 2, -2, 5: mean 1; deviations 0, -2, 1, -3, 4, squares 30, s² = 30 / 4
    found = agree([11, 19, 32, 38, 55], [10, 20, 30, 40, 50])
    s, t = np.sqrt(7.5), 2.7764451  # t of 4 degrees of freedom, 97.5 %
    assert found["bias"] == pytest.approx(1)
    assert found["sd"] == pytest.approx(s)
    assert found["bias_ci_low"] == pytest.approx(1 - t * s / np.sqrt(5))
    assert found["bias_ci_high"] == pytest.approx(1 + t * s / np.sqrt(5))
    for side, limit in (("loa_low", 1 - 1.96 * s), ("loa_high", 1 + 1.96 * s)):
        assert found[side] == pytest.approx(limit)
        assert found[f"{side}_ci_low"] == pytest.approx(limit - t * np.sqrt(3 * 7.5 / 5))
        assert found[f"{side}_ci_high"] == pytest.approx(limit + t * np.sqrt(3 * 7.5 / 5))
    # |errors| 1, 1, 2, 2, 5: mean 2.2, squares of deviations 10.8
    assert found["mae"] == pytest.approx(2.2)
    assert found["mae_sd"] == pytest.approx(np.sqrt(10.8 / 4))
    assert found["error_range"] == pytest.approx(4)
    assert found["r2"] == pytest.approx(1 - 35 / 1000)
    # sar = Σ da dr / 5 with da = -20, -12, 1, 7, 24 and dr = -20, -10, 0, 10, 20
    assert found["ccc"] == pytest.approx(2 * 214 / (234 + 200 + 1))
    assert found["note"] == ("fewer than 10 pairs: no bootstrap intervals")
    assert found["mae_ci_low"] is None


def test_a_mean_far_off_makes_r2_negative():
    assert agree([11, 12, 13], [1, 2, 3])["r2"] == pytest.approx(1 - 300 / 2)


def test_icc_against_the_analysis_of_variance():
    a, r = np.array([9.0, 6, 8, 7, 10, 6]), np.array([2.0, 1, 4, 1, 5, 2])
    both = np.column_stack([a, r])
    n, k = both.shape
    rows = k * ((both.mean(axis=1) - both.mean()) ** 2).sum() / (n - 1)
    columns = n * ((both.mean(axis=0) - both.mean()) ** 2).sum() / (k - 1)
    residual = both - both.mean(axis=1)[:, None] - both.mean(axis=0) + both.mean()
    error = (residual**2).sum() / ((n - 1) * (k - 1))
    expected = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    found = agree(a, r)
    assert found["icc"] == pytest.approx(expected)
    assert found["icc_ci_low"] < expected < found["icc_ci_high"]


def test_icc_and_interval_of_shrout_and_fleiss_are_not_rounded():
    # Six targets, judges 1 and 4 of Shrout & Fleiss 1979, Table 2.
    icc, low, high = intraclass_correlation(
        np.array([9.0, 6, 8, 7, 10, 6]), np.array([8.0, 2, 8, 6, 9, 7])
    )
    assert low < icc < high
    assert low != round(low, 2)
    assert high != round(high, 2)


def test_deming_is_the_total_least_squares_line():
    rng = np.random.default_rng(2)
    truth = rng.uniform(0, 700, 40)
    r = truth + rng.normal(0, 20, 40)
    a = 1.2 * truth - 30 + rng.normal(0, 20, 40)
    found = agree(a, r)
    _, _, directions = np.linalg.svd(np.column_stack([r - r.mean(), a - a.mean()]))
    slope = directions[0, 1] / directions[0, 0]
    assert found["slope"] == pytest.approx(slope)
    assert found["intercept"] == pytest.approx(a.mean() - slope * r.mean())
    swapped = agree(r, a)
    assert swapped["slope"] == pytest.approx(1 / found["slope"])


def test_pearson_is_scipys():
    rng = np.random.default_rng(4)
    r = rng.normal(size=12)
    a = r + rng.normal(size=12)
    expected = stats.pearsonr(a, r)
    found = agree(a, r)
    assert found["pearson_r"] == pytest.approx(expected.statistic)
    assert found["pearson_p"] == pytest.approx(expected.pvalue)
    assert found["pearson_r_squared"] == pytest.approx(expected.statistic**2)


@pytest.mark.parametrize("pairs", [0, 1, 2])
def test_too_few_pairs_leave_all_but_bias_and_mae_empty(pairs):
    found = agree([5.0, 1.0][:pairs], [2.0, 3.0][:pairs])
    given_ = {key for key in STATISTICS if found[key] is not None} - set(ZEROS)
    assert given_ == ({"bias", "mae"} if pairs else set())
    assert found["n"] == pairs
    assert found["note"] == (
        "fewer than 3 pairs: only bias, MAE and zeros" if pairs else "no pairs"
    )
    if pairs == 2:
        assert (found["bias"], found["mae"]) == (0.5, 2.5)


def test_constant_reference():
    found = agree([1.0, 2, 4], [3.0, 3, 3])
    assert found["bias"] == pytest.approx(-2 / 3)
    assert found["sd"] is not None
    for key in ("r2", "pearson_r", "pearson_p", "icc", "icc_ci_low", "ccc", "slope", "intercept"):
        assert found[key] is None
    assert "reference is constant" in found["note"]


def test_constant_automatic_values_as_of_a_fixed_threshold():
    found = agree([600.0] * 4, [500.0, 600, 700, 650])
    assert found["r2"] == pytest.approx(1 - 22500 / 21875)
    assert found["ccc"] == 0
    for key in ("pearson_r", "pearson_p", "pearson_r_squared", "slope", "intercept"):
        assert found[key] is None
    assert "automatic values are constant" in found["note"]


def test_perfect_agreement():
    found = agree([1.0, 2, 4, 9], [1.0, 2, 4, 9])
    for key in ("r2", "pearson_r", "icc", "ccc", "slope"):
        assert found[key] == pytest.approx(1), key
    assert found["loa_low"] == found["loa_high"] == found["sd"] == found["mae_sd"] == 0
    numbers = [found[key] for key in STATISTICS if not isinstance(found[key], str | None)]
    assert np.isfinite(numbers).all()


def test_uncorrelated_values_have_no_line():
    assert np.isnan(deming_slope(1.0, 1.0, 0.0))
    found = agree([1.0, -1, -1, 1], [1.0, 1, -1, -1])
    assert found["slope"] is None
    note = "ccc interval, slope, intercept, passing_bablok_slope interval"
    assert found["note"].startswith(f"not defined for these values: {note}")


@pytest.mark.parametrize("bad", [([1, 2], [1, 2, 3]), ([1, np.nan], [1, 2]), ([[1]], [[1]])])
def test_unpaired_or_missing_values_are_refused(bad):
    with pytest.raises(ValueError, match="not paired finite values"):
        agree(*bad)


values = st.lists(
    st.tuples(st.integers(-500, 500), st.integers(-500, 500)), min_size=4, max_size=8, unique=True
)


@settings(max_examples=25)
@given(pairs=values)
def test_sides_swapped_change_only_signs(pairs):
    a, r = np.array(pairs, float).T
    forward, back = agree(a, r), agree(r, a)
    assert back["bias"] == pytest.approx(-forward["bias"])
    assert back["loa_low"] == pytest.approx(-forward["loa_high"])
    for key in ("sd", "mae", "mae_sd", "error_range"):
        assert back[key] == pytest.approx(forward[key])
    if forward["ccc"] is not None and back["ccc"] is not None:
        assert back["ccc"] == pytest.approx(forward["ccc"])
        assert back["icc"] == pytest.approx(forward["icc"])
