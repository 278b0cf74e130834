"""Agreement against published worked examples and independent implementations.

Milk: Bland & Altman 1999 (Stat Methods Med Res 8: 135-160), Table 3, fat in human milk (g / 100 ml)
by the Trig and Gerber methods. Peak flow: Bland & Altman 1986. Film reviews: Agresti & Winner,
Chance 1997; 10: 10-14, as analysed by SAS PROC FREQ in Agresti, Categorical data analysis.
"""

import math

import numpy as np
import pytest
from calcohort.agreement.concordance import (
    category_names,
    concordance_correlation,
    confusion,
    weighted_kappa,
    zero_agreement,
)
from calcohort.agreement.limits import exact_interval, following_limits, ratio_limits
from calcohort.agreement.regression import deming, deming_slope, passing_bablok
from calcohort.agreement.resampling import error_statistics
from calcohort.agreement.statistics import agree
from published_data import MILK, PEAK_FLOW
from scipy import stats


def test_bias_by_size_of_milk_fat():
    """Printed: difference = 0.079 - 0.0283 × mean; the bias falls with size."""
    found = following_limits(*MILK)
    assert round(found["bias_at_zero"], 3) == 0.079
    assert round(found["bias_by_size"], 4) == -0.0283
    assert found["bias_by_size_p"] == pytest.approx(0.0046, abs=5e-5)
    assert found["limits_form"] == "by size"


def test_peak_flow_needs_no_limits_by_size():
    assert following_limits(*PEAK_FLOW)["limits_form"] == "constant"


def test_spread_that_grows_is_found_and_followed():
    """SD 0.1 of the size: the fitted SD is that, and Koenker's test is n R² of e² on the size."""
    rng = np.random.default_rng(0)
    r = rng.uniform(50, 700, 2000)
    a = r * (1 + rng.normal(0, 0.1, r.size))
    found = following_limits(a, r)
    assert found["sd_by_size"] == pytest.approx(0.1, abs=0.01)
    assert found["sd_at_zero"] == pytest.approx(0, abs=3)
    size, error = (a + r) / 2, a - r
    trend = stats.linregress(size, error)
    squared = (error - trend.intercept - trend.slope * size) ** 2
    koenker = r.size * stats.linregress(size, squared).rvalue ** 2
    assert found["sd_by_size_p"] == pytest.approx(stats.chi2.sf(koenker, 1))
    ratio = ratio_limits(a, r)
    assert ratio["ratio_loa_high"] == pytest.approx(math.exp(0.1 * 1.96), rel=0.02)


def test_ratios_by_hand():
    """Ratios 2, 1, 0.5; the pair with a zero does not count: geometric mean 1, SD of logs ln 2."""
    found = ratio_limits(np.array([2.0, 3, 2, 0]), np.array([1.0, 3, 4, 5]))
    assert found["ratio_n"] == 3
    assert found["ratio"] == pytest.approx(1)
    assert found["ratio_loa_high"] == pytest.approx(2**1.96)


@pytest.mark.parametrize(("n", "factor"), [(10, 2.911), (20, 2.396), (30, 2.220), (50, 2.065)])
def test_exact_intervals_are_tolerance_factors(n, factor):
    """Printed one-sided normal tolerance factors, 95 % of the population with 95 % confidence."""
    _, high = exact_interval(0.0, 1.0, n, stats.norm.ppf(0.95), confidence=0.9)
    assert high == pytest.approx(factor, abs=6e-4)


def test_exact_intervals_lean_outwards_and_mirror():
    found = agree(*PEAK_FLOW)
    low = found["loa_low"] - found["loa_low_exact_low"]
    inner = found["loa_low_exact_high"] - found["loa_low"]
    assert low > inner > 0
    mirrored = agree(*PEAK_FLOW[::-1])
    assert mirrored["loa_high_exact_high"] == pytest.approx(-found["loa_low_exact_low"])
    of_bias = exact_interval(1.0, 2.0, 12, 0.0)
    half = stats.t.ppf(0.975, 11) * 2 / math.sqrt(12)
    assert of_bias == pytest.approx((1 - half, 1 + half))


def test_weighted_kappa_of_film_reviews():
    """SAS: weighted kappa 0.4269, ASE 0.0635, 95 % limits 0.3024 and 0.5513."""
    found = weighted_kappa(np.array([[24, 8, 13], [8, 13, 11], [10, 9, 64]]))
    assert found == pytest.approx((0.4269, 0.3024, 0.5513), abs=5e-5)


def test_categories_end_at_their_cuts():
    counts = confusion(np.array([0, 0.1, 100, 101]), np.array([0, 0, 100, 500.0]), [0, 100])
    assert counts.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    assert category_names([0, 100]) == ["≤ 0", "> 0 to 100", "> 100"]


def test_zeros_are_counted_by_side():
    found = zero_agreement(np.array([0, 0, 0, 1, 2, 3.0]), np.array([0, 0, 1, 0, 2, 3.0]))
    counts = ["both_zero", "only_automatic_zero", "only_reference_zero", "none_zero"]
    assert [found[key] for key in counts] == [2, 1, 1, 2]
    assert found["zero_kappa"] == pytest.approx((4 / 6 - 1 / 2) / (1 / 2))  # chance 1/2
    assert math.isnan(zero_agreement(np.ones(3), np.ones(3))["zero_kappa"])


def test_ccc_interval_is_that_of_the_delta_method():
    """Lin's variance against a numerical gradient through the moments of a normal population."""
    a, r = PEAK_FLOW
    n, shift = a.size, a.mean() - r.mean()
    ((saa, sar), (_, srr)) = np.cov(a, r, ddof=0)

    def z(moments):
        difference, aa, rr, ar = moments
        return math.atanh(2 * ar / (aa + rr + difference**2))

    moments = np.array([shift, saa, srr, sar])
    covariance = np.array(
        [
            [saa + srr - 2 * sar, 0, 0, 0],
            [0, 2 * saa**2, 2 * sar**2, 2 * saa * sar],
            [0, 2 * sar**2, 2 * srr**2, 2 * srr * sar],
            [0, 2 * saa * sar, 2 * srr * sar, saa * srr + sar**2],
        ]
    )
    steps = np.diag(1e-6 * np.abs(moments))
    gradient = [(z(moments + s) - z(moments - s)) / (2 * s.sum()) for s in steps]
    half = stats.norm.ppf(0.975) * math.sqrt(gradient @ covariance @ gradient / (n - 2))
    value, low, high = concordance_correlation(a, r)
    assert value == pytest.approx(0.9427, abs=5e-5)
    middle = math.atanh(value)
    assert (low, high) == pytest.approx((math.tanh(middle - half), math.tanh(middle + half)), 1e-5)


def test_deming_interval_is_the_jackknifes():
    a, r = PEAK_FLOW

    def fit(a, r):
        ((saa, sar), (_, srr)) = np.cov(a, r)
        slope = deming_slope(saa, srr, sar)
        return np.array([slope, a.mean() - slope * r.mean()])

    n, full = a.size, fit(a, r)
    out = np.array([fit(np.delete(a, i), np.delete(r, i)) for i in range(n)])
    half = stats.t.ppf(0.975, n - 2) * (n * full - (n - 1) * out).std(axis=0, ddof=1) / n**0.5
    found = deming(a, r)
    for key, value, width in zip(("slope", "intercept"), full, half, strict=True):
        assert found[key] == pytest.approx(value)
        assert found[f"{key}_ci_low"] == pytest.approx(value - width)
        assert found[f"{key}_ci_high"] == pytest.approx(value + width)


def test_passing_bablok_by_hand():
    """Slopes of (1, 1), (2, 3), (3, 3), (4, 5): 0, 1, 1, 4/3, 2, 2; none below -1."""
    found = passing_bablok(np.array([1.0, 3, 3, 5]), np.array([1.0, 2, 3, 4]))
    assert found["passing_bablok_slope"] == pytest.approx(7 / 6)
    assert found["passing_bablok_intercept"] == pytest.approx(1 / 12)
    assert "passing_bablok_slope_ci_low" not in found, "four points bound no slope"


@pytest.mark.parametrize("ties", [False, True])
def test_passing_bablok_is_symmetric_and_covers_order(ties):
    """The slope of the swapped methods is the inverse; shuffled points give the same line."""
    rng = np.random.default_rng(3)
    truth = rng.uniform(0, 500, 41)
    a, r = 1.2 * truth + rng.normal(0, 25, 41), truth + rng.normal(0, 25, 41)
    if ties:
        a, r = a.round(-2), r.round(-2)
    found, order = passing_bablok(a, r), rng.permutation(41)
    assert passing_bablok(a[order], r[order]) == found
    if not ties:
        back = passing_bablok(r, a)
        assert back["passing_bablok_slope"] == pytest.approx(1 / found["passing_bablok_slope"])
        low, high = back["passing_bablok_slope_ci_low"], back["passing_bablok_slope_ci_high"]
        assert found["passing_bablok_slope_ci_low"] == pytest.approx(1 / high)
        assert found["passing_bablok_slope_ci_high"] == pytest.approx(1 / low)


def test_bootstrap_t_is_that_of_explicit_resamples():
    """Resample by resample, with the standard error from each pair's influence, other draws.

    Errors grow with the size, so that they and the spread of the references go together.
    """
    rng = np.random.default_rng(5)
    r = rng.gamma(4, 60, 200)
    a = r + 5 + 0.1 * r * rng.normal(size=200)
    found = error_statistics(a, r)
    assert found == error_statistics(a, r), "seeded"

    def describe(a, r):
        absolute, squared, spread = np.abs(a - r), (a - r) ** 2, (r - r.mean()) ** 2
        influence = [
            absolute / absolute.mean() - 1,
            (squared / squared.mean() - 1) / 2,
            squared / squared.mean() - spread / spread.mean(),
        ]
        mse = squared.mean()
        values = [np.log(absolute.mean()), np.log(mse) / 2, np.log(mse / spread.mean())]
        return np.array(values), np.std(influence, axis=1) / math.sqrt(a.size)

    value, error = describe(a, r)
    draws = (rng.integers(200, size=200) for _ in range(4000))
    resampled, errors = np.swapaxes([describe(a[d], r[d]) for d in draws], 0, 1)
    ends = value - np.quantile((resampled - value) / errors, [0.975, 0.025], axis=0) * error
    expected = {
        "mae": np.exp(ends[:, 0]),
        "rmse": np.exp(ends[:, 1]),
        "r2": 1 - np.exp(ends[::-1, 2]),
    }
    for name, (low, high) in expected.items():
        assert found[f"{name}_ci_low"] == pytest.approx(low, abs=0.08 * (high - low))
        assert found[f"{name}_ci_high"] == pytest.approx(high, abs=0.08 * (high - low))


def test_statistics_that_do_not_vary_have_no_interval():
    r = np.arange(12.0)
    found = error_statistics(r, r)
    assert (found["mae"], found["rmse"], found["r2"]) == (0, 0, 1)
    assert all(math.isnan(found[f"{name}_ci_low"]) for name in ("mae", "rmse", "r2"))
    found = error_statistics(r + 2, r)
    assert math.isnan(found["mae_ci_low"]) and math.isnan(found["rmse_ci_high"])
    assert found["r2_ci_low"] < found["r2"] < found["r2_ci_high"], "the reference varies"


def test_an_interval_of_a_negative_r2_lies_around_it():
    rng = np.random.default_rng(0)
    r = rng.normal(600, 30, 30)
    found = error_statistics(np.full(30, 700.0), r)
    assert found["r2"] == pytest.approx(1 - np.mean((700 - r) ** 2) / r.var())
    assert found["r2_ci_low"] < found["r2"] < found["r2_ci_high"] < 0


def test_percentages_leave_zeros_out_and_say_so():
    found = agree([1.0, 12, 18, 40], [0.0, 10, 20, 50])
    assert found["mape_n"] == 3
    assert found["mape_percent"] == pytest.approx((20 + 10 + 20) / 3)
    assert found["rmse"] == pytest.approx(math.sqrt((1 + 4 + 4 + 100) / 4))


def test_equivalence_is_two_one_sided_t_tests():
    a, r = PEAK_FLOW
    error, margin = a - r, 25.0
    standard_error = error.std(ddof=1) / math.sqrt(error.size)
    t = [(error.mean() + margin) / standard_error, (margin - error.mean()) / standard_error]
    found = agree(a, r, margin=margin)
    assert found["equivalence_p"] == pytest.approx(stats.t.sf(min(t), error.size - 1))
