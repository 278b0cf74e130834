"""Statistics against R and published output for the same data.

R 4.2.2 with psych 2.2.9, epiR 2.0.57, lmtest 0.9-40, pROC 1.18.0 and survival 3.5-3, run once by
hand. mcr's figures are as printed by Wicklin (Passing-Bablok regression in SAS, The DO Loop, 2022)
and in the tests of the Python package methcomp (twenty).
"""

import math

import numpy as np
import pandas as pd
import published_data as data
import pytest
from calcohort.agreement.concordance import concordance_correlation, intraclass_correlation
from calcohort.agreement.limits import following_limits, ratio_limits
from calcohort.agreement.regression import deming, passing_bablok
from calcohort.agreement.statistics import agree
from calcohort.association import models, roc
from calcohort.association.association import association_table
from published_data import MANUAL, MILK, PEAK_FLOW, WEIGHT, numbers
from statsmodels.stats.multitest import multipletests


def test_icc_of_psych():
    """`ICC(lmer = FALSE)`, Single_random_raters: peak flow; Shrout & Fleiss' judges 1, 4."""
    assert intraclass_correlation(*PEAK_FLOW) == pytest.approx(
        (0.9459284056, 0.8574111712, 0.9800786591)
    )
    judges = np.array([9, 6, 8, 7, 10, 6.0]), np.array([8, 2, 8, 6, 9, 7.0])
    assert intraclass_correlation(*judges) == pytest.approx(
        (0.6478873239, -0.06006949972, 0.9391485672)
    )


def test_ccc_of_epir():
    """`epi.ccc(wright, mini, ci = "z-transform")`."""
    found = concordance_correlation(*PEAK_FLOW)
    assert found == pytest.approx((0.9427424314, 0.8504918732, 0.9787262792))
    found = concordance_correlation(*MILK)
    assert found == pytest.approx((0.997685257, 0.996016076, 0.998655557))


def test_correlation_bias_and_equivalence_of_r():
    """`cor.test`, `t.test(paired = TRUE)`, and the larger p of two one-sided ones about ± 25."""
    found = agree(*PEAK_FLOW, margin=25)
    assert found["pearson_r"] == pytest.approx(0.9432794469)
    assert found["pearson_r_ci_low"] == pytest.approx(0.8463588088)
    assert found["pearson_r_ci_high"] == pytest.approx(0.9797313374)
    assert found["pearson_p"] == pytest.approx(1.39950134e-08)
    assert found["bias"] == pytest.approx(-2.117647059)
    assert found["bias_ci_low"] == pytest.approx(-22.04883770)
    assert found["bias_ci_high"] == pytest.approx(17.81354358)
    assert found["equivalence_p"] == pytest.approx(0.013517371398)


def test_exact_limits_are_the_noncentral_t_of_r():
    """`qt(c(.025, .975), 16, ncp = 1.96 * sqrt(17)) / sqrt(17)`: 1.315058515, 3.148323793."""
    found = agree(*PEAK_FLOW)
    factors = [(found[f"loa_high_exact_{end}"] - found["bias"]) / found["sd"]
               for end in ("low", "high")]  # fmt: skip
    assert factors == pytest.approx([1.315058515, 3.148323793], rel=1e-6)


def test_heteroscedasticity_and_ratios_of_milk_in_r():
    """`lm(d ~ m)`, `bptest`, `lm(abs(residuals) ~ m)`; exp of `t.test(log(a) - log(r))`."""
    found = following_limits(*MILK)
    assert found["bias_by_size"] == pytest.approx(-0.02827097458)
    assert found["bias_by_size_p"] == pytest.approx(0.004559423800)
    assert found["sd_by_size_p"] == pytest.approx(0.2843466629)
    wide = math.sqrt(math.pi / 2)
    assert found["sd_at_zero"] == pytest.approx(wide * 0.046727155114)
    assert found["sd_by_size"] == pytest.approx(wide * 0.005166017171)
    found = ratio_limits(*MILK)
    names = ("ratio", "ratio_ci_low", "ratio_ci_high", "ratio_loa_low", "ratio_loa_high")
    expected = [1.0072715881, 0.9952138062, 1.0194754593, 0.9311620656, 1.0896020035]
    assert [found[name] for name in names] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "slope", "intercept", "within"),
    [
        (data.CREATININE, (1.0880089, 1.0000000, 1.173005), (-0.1171729, -0.2001149, -0.02), 1e-4),
        (data.TWENTY, (1.0050, 0.9848077, 1.0265805), (0.0125, -0.2975146, 0.1393271), 0.012),
    ],
    ids=["creatinine, tied", "twenty"],
)
def test_passing_bablok_of_mcr(text, slope, intercept, within):
    """mcr goes between the ranks of angles, so that the twenty pairs agree to 0.012 alone."""
    r, a = numbers(text).reshape(-1, 2).T
    found = passing_bablok(a, r)
    ends = [found[f"passing_bablok_slope{end}"] for end in ("", "_ci_low", "_ci_high")]
    assert ends == pytest.approx(slope, abs=within)
    ends = [found[f"passing_bablok_intercept{end}"] for end in ("", "_ci_low", "_ci_high")]
    assert ends == pytest.approx(intercept, abs=within)


def test_deming_of_pearson_1901():
    """Pearson, Phil Mag 1901; 2: 559-572: y = 5.784 - 0.546 x, the first line of closest fit."""
    x = np.array([0, 0.9, 1.8, 2.6, 3.3, 4.4, 5.2, 6.1, 6.5, 7.4])
    y = np.array([5.9, 5.4, 4.4, 4.6, 3.5, 3.7, 2.8, 2.8, 2.4, 1.5])
    found = deming(y, x)
    assert found["slope"] == pytest.approx(-0.546, abs=5e-4)
    assert found["intercept"] == pytest.approx(5.784, abs=5e-4)


def test_areas_of_proc():
    """`roc(aSAH$outcome, ...)`, `var`, `cov`, and `roc.test` (DeLong): tied values in all three."""
    markers = np.array([numbers(text) for text in (data.S100B, data.NDKA, data.WFNS)])
    auc, covariance = roc.areas(numbers(data.POOR) == 1, markers)
    assert auc == pytest.approx([0.7313685637, 0.6119579946, 0.8236788618])
    assert np.diag(covariance) == pytest.approx([0.002668682457, 0.003190810549, 0.001469914709])
    assert roc.difference_p(auc, covariance, 0, 1) == pytest.approx(0.1642951752)
    assert roc.difference_p(auc, covariance, 0, 2) == pytest.approx(0.02717578223)


def test_logistic_regression_with_a_covariate_of_r():
    """`glm(am ~ wt + hp, binomial, mtcars)`: -8.0834751824 (3.0686751131)."""
    columns = np.column_stack([WEIGHT, numbers(data.HORSE_POWER)])
    found = models.logistic(np.array(MANUAL, bool), columns)
    assert math.log(found["value"]) == pytest.approx(-8.0834751824)
    half = 1.959964 * 3.0686751131
    assert math.log(found["ci_low"]) == pytest.approx(-8.0834751824 - half, abs=1e-4)
    assert found["p"] == pytest.approx(0.00843381260, rel=1e-4)


def test_cox_regression_with_a_covariate_of_r():
    """`coxph(Surv(time, status) ~ age + sex, lung[1:40, ])`: -0.00581980 (0.02495437)."""
    columns = np.column_stack([numbers(data.LUNG_AGE), numbers(data.LUNG_SEX)])
    found = models.cox(numbers(data.LUNG_STATUS) == 2, numbers(data.LUNG_DAYS), columns)
    assert math.log(found["value"]) == pytest.approx(-0.00581980073, rel=1e-5)
    assert math.log(found["ci_high"] / found["value"]) == pytest.approx(1.959964 * 0.02495437, 1e-4)
    assert found["p"] == pytest.approx(0.815592363, rel=1e-5)


def test_groups_of_r():
    """`wilcox.test(wt ~ am, exact = FALSE)`: W 230.5; PlantGrowth, `kruskal.test`: H 7.988229."""
    found = _compare(WEIGHT, MANUAL)
    assert found["p"] == pytest.approx(4.347025911e-05, rel=1e-6)
    assert found["value"] == pytest.approx(230.5 / (19 * 13))
    found = _compare(numbers(data.PLANT_WEIGHTS), np.repeat(["ctrl", "trt1", "trt2"], 10))
    assert found["p"] == pytest.approx(0.01842375573)
    assert found["value"] == pytest.approx(7.988228749 / 29)


def _compare(values, groups) -> pd.Series:
    ids = [f"s{n:02d}" for n in range(len(values))]
    scans = pd.DataFrame({"scan_id": ids, "group": groups})
    scores = pd.DataFrame({"scan_id": ids, "rule": "F7", "calcium_volume_mm3": values})
    return association_table(scans, scores, outcomes=[], groups=["group"], rule="F7").iloc[0]


def test_holm_of_p_adjust():
    """`p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.005), "holm")`, by the library that does it here."""
    adjusted = multipletests([0.01, 0.02, 0.03, 0.04, 0.005], method="holm")[1]
    assert adjusted == pytest.approx([0.04, 0.06, 0.06, 0.06, 0.025])
