"""Outcomes against published analyses and independent implementations.

Cars: R's mtcars, `glm(am ~ wt, binomial)` prints -4.024 (standard error 1.436). Leukaemia:
remissions of Freireich et al., Blood 1963, used by Cox 1972; R's `coxph(Surv(time, status) ~
placebo)`, Efron's ties, prints 1.572 (0.412).
"""

import math

import numpy as np
import pandas as pd
import pytest
from calcohort.association import models, planning, roc
from calcohort.association.association import association_table
from calcohort.outcomes import UserError
from published_data import MANUAL, WEIGHT
from scipy import stats
from sklearn.metrics import roc_auc_score

PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
TREATED = [6, 6, 6, 7, 10, 13, 16, 22, 23]
CENSORED = [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]


def test_logistic_regression_of_cars():
    found = models.logistic(np.array(MANUAL, bool), np.array(WEIGHT)[:, None])
    assert math.log(found["value"]) == pytest.approx(-4.024, abs=5e-4)
    assert math.log(found["ci_high"]) == pytest.approx(-4.024 + 1.96 * 1.436, abs=2e-3)


def test_cox_regression_of_leukaemia():
    time = np.array(PLACEBO + TREATED + CENSORED, float)
    event = np.arange(time.size) < 30
    placebo = (np.arange(time.size) < 21).astype(float)
    found = models.cox(event, time, placebo[:, None])
    assert math.log(found["value"]) == pytest.approx(1.572, abs=5e-4)
    assert math.log(found["ci_high"]) == pytest.approx(1.572 + 1.96 * 0.4124, abs=2e-3)


def marker_data():
    rng = np.random.default_rng(0)
    outcome = np.arange(50) < 18
    first = rng.normal(size=50).round(1) + outcome
    return outcome, np.array([first, first + rng.normal(size=50).round(1)])


def test_areas_and_covariance_are_delongs_by_pairs():
    outcome, markers = marker_data()
    auc, covariance = roc.areas(outcome, markers)
    wins = [
        (m[outcome][:, None] > m[~outcome]) + 0.5 * (m[outcome][:, None] == m[~outcome])
        for m in markers
    ]
    assert auc == pytest.approx([w.mean() for w in wins])
    assert auc == pytest.approx([roc_auc_score(outcome, m) for m in markers])
    cases = np.cov([w.mean(axis=1) for w in wins]) / 18
    controls = np.cov([w.mean(axis=0) for w in wins]) / 32
    assert covariance == pytest.approx(cases + controls)
    z = (auc[0] - auc[1]) / math.sqrt(np.array([1, -1]) @ covariance @ np.array([1, -1]))
    assert roc.difference_p(auc, covariance, 0, 1) == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert math.isnan(roc.difference_p(auc, covariance, 0, 0))


def test_a_perfect_marker_has_no_interval():
    outcome = np.arange(6) < 3
    auc, covariance = roc.areas(outcome, -np.arange(6.0)[None])
    assert roc.describe_area(auc[0], covariance[0, 0]) == {"value": 1.0}


def test_separation_and_few_events_are_said():
    x = np.arange(12.0)[:, None]
    assert "separated" in models.logistic(x[:, 0] > 5, x)["note"]
    assert "at least 5" in models.logistic(x[:, 0] > 8, x)["note"]
    assert "constant" in models.logistic(x[:, 0] % 2 == 0, np.ones((12, 1)))["note"]


def cohort(n=60):
    rng = np.random.default_rng(1)
    volume = rng.gamma(1, 100, n)
    sheet = pd.DataFrame(
        {
            "scan_id": [f"s{i:02d}" for i in range(n)],
            "died": (volume + rng.normal(0, 120, n) > 100).astype(float),
            "years": rng.exponential(3, n) + 0.1,
            "age": rng.normal(70, 8, n),
            "sex": np.where(rng.random(n) < 0.5, "F", "M"),
            "site": np.array(["a", "b", "c"])[np.arange(n) % 3],
        }
    )
    scores = pd.DataFrame(
        {"scan_id": s, "rule": rule, "calcium_volume_mm3": v * factor}
        for s, v in zip(sheet["scan_id"], volume, strict=True)
        for rule, factor in (("F7", 1.0), ("F1", 1.1))
    )
    return sheet, scores


def test_every_rule_is_related_to_every_column():
    sheet, scores = cohort()
    sheet.loc[0, "age"] = np.nan
    outcomes = [
        {"column": "died", "covariates": ["age", "sex"]},
        {"column": "died", "time": "years"},
    ]
    asked = {"outcomes": outcomes, "groups": ["sex", "site"], "rule": "F7"}
    table = association_table(sheet, scores, **asked).set_index(["analysis", "rule"])
    assert len(table) == 2 * 5
    assert table.loc[("roc", "F7"), "n"] == 59, "the scan without an age is left out"
    assert table.loc[("cox", "F7"), "n"] == 60
    volume = scores[scores["rule"] == "F7"]["calcium_volume_mm3"].to_numpy()
    auc = roc_auc_score(sheet["died"][1:], volume[1:])
    assert table.loc[("roc", "F7"), "value"] == pytest.approx(auc)
    women = sheet["sex"] == "F"
    theirs = stats.mannwhitneyu(volume[women], volume[~women])
    found = table.loc[("mann-whitney", "F7")]
    assert found["p"] == pytest.approx(theirs.pvalue)
    share = theirs.statistic / (women.sum() * (~women).sum())
    assert found["value"] == pytest.approx(share)
    theirs = stats.kruskal(*(volume[sheet["site"] == site] for site in "abc"))
    assert table.loc[("kruskal-wallis", "F7"), "p"] == pytest.approx(theirs.pvalue)
    rules = table.sort_index().loc["roc"].sort_values("p")
    assert rules["p_adjusted"].iloc[0] == pytest.approx(2 * rules["p"].iloc[0]), "Holm, two rules"


@pytest.mark.parametrize(
    ("outcome", "told"),
    [
        ({"column": "relapse"}, "no column 'relapse'"),
        ({"column": "age"}, "'age' of the sheet is not 0 or 1"),
        ({"column": "died", "time": "late"}, "'late' of the sheet is not above 0"),
    ],
)
def test_mistakes_are_told(outcome, told):
    sheet, scores = cohort()
    sheet["late"] = 0.0
    with pytest.raises(UserError, match=told):
        association_table(sheet, scores, outcomes=[outcome], groups=[], rule="F7")


def test_nothing_asked_is_an_empty_table():
    assert association_table(*cohort(), outcomes=[], groups=[], rule="F7").empty


def test_hanley_and_mcneils_error_is_that_of_exponential_markers():
    """4,000 simulated sets of 51 cases and 58 controls; P(case > control) = s / (1 + s)."""
    rng, scale = np.random.default_rng(0), 0.893 / 0.107
    markers = rng.exponential(np.repeat([scale, 1], [51, 58]), (4000, 109))
    ranks = stats.rankdata(markers, axis=1)[:, :51].sum(axis=1)
    simulated = (ranks - 51 * 52 / 2) / (51 * 58)
    assert simulated.mean() == pytest.approx(0.893, abs=0.002)
    error = planning.hanley_mcneil_error(0.893, 51, 58)
    assert error == pytest.approx(simulated.std(), rel=0.04)


@pytest.mark.parametrize(("n", "half_width_sds"), [(100, 0.34), (200, 0.24)])
def test_width_of_a_limit_of_agreement_is_that_of_blands_advice(n, half_width_sds):
    # Bland, "How can I decide the sample size for a study of agreement between two methods of
    # measurement?" (2004): the 95 % interval is about +/-1.96 sqrt(3 / n) s.
    low, high = planning.exact_interval(0.0, 1.0, n, 1.96)
    assert (high - low) / 2 == pytest.approx(half_width_sds, abs=0.015)


def test_plans_are_the_fewest_scans():
    n = planning.scans_for_auc(0.8, 0.1, 0.3)
    widths = [2 * planning.Z * planning.hanley_mcneil_error(0.8, m * 0.3, m * 0.7)
              for m in (n, n - 1)]  # fmt: skip
    assert widths[0] <= 0.1 < widths[1]
    n = planning.scans_for_limits(0.5)
    low, high = planning.exact_interval(0, 1, n, 1.96)
    assert high - low <= 0.5
    low, high = planning.exact_interval(0, 1, n - 1, 1.96)
    assert high - low > 0.5


def test_hanley_and_mcneils_error_of_auctestr():
    """R's `se_auc(0.75, 20, 200)`, `(0.75, 110, 110)` and `(0.75, 20, 20)`, as printed."""
    sizes = (20, 200), (110, 110), (20, 20)
    errors = [planning.hanley_mcneil_error(0.75, *size) for size in sizes]
    assert errors == pytest.approx([0.06498283, 0.03282048, 0.07789072], abs=1e-8)


def test_plan_for_the_icc_of_bonett_and_of_statpsych():
    """Bonett's example needs 19.2 scans of four readers; R's `size.ci.icc(.05, .70, 3, .2)`, 68."""
    assert planning.scans_for_icc(0.85, 0.2, readers=4) == 20
    assert planning.scans_for_icc(0.70, 0.2, readers=3) == 68


def test_plan_for_the_icc_gives_about_the_width():
    """Interval of a one-way ICC by F (Shrout & Fleiss 1979) at the planned number of scans."""
    icc, width = 0.9, 0.1
    n = planning.scans_for_icc(icc, width)
    ratio = (1 + icc) / (1 - icc)
    f = [ratio / stats.f.ppf(0.975, n - 1, n), ratio * stats.f.ppf(0.975, n, n - 1)]
    low, high = ((v - 1) / (v + 1) for v in f)
    assert high - low == pytest.approx(width, rel=0.1)


@pytest.mark.parametrize(
    "ask",
    [
        lambda: planning.scans_for_icc(1.2, 0.1),
        lambda: planning.scans_for_auc(0.4, 0.1, 0.3),
        lambda: planning.scans_for_limits(0.0),
    ],
)
def test_plans_without_meaning_are_refused(ask):
    with pytest.raises(UserError, match="plan:"):
        ask()
