"""Limits of control charts: single values, moving averages, group means, shares.

References
----------
Montgomery: Introduction to statistical quality control, 7th edition, 2012, chapters 6, 7 and 9
(individuals chart, p chart, EWMA). NIST/SEMATECH e-Handbook of statistical methods, sections
6.3.2.2 (individuals) and 6.3.2.4 (EWMA). Roberts, Technometrics 1959; 1: 239-250 (EWMA). Ott, Ind
Qual Control 1967; 24: 101-109 (means of groups against the grand mean). Menzefricke, Commun Stat
Theory Methods 2002; 31: 1423-1440 (limits by predictive distributions).
"""

from typing import NamedTuple

import numpy as np
from scipy import stats

SIGMAS = 3.0
TAIL = float(stats.norm.sf(SIGMAS))
MOVING_RANGE_FACTOR = 1.128
"""Expected range of two values of a normal population, in its standard deviations (d2)."""


class Spread(NamedTuple):
    """Centre and standard deviation of a process in control, and the values they are made of.

    Limits are three standard errors of what is charted minus the centre, so they know how uncertain
    the centre of a short baseline is; of an infinite one they are the classical ones.
    """

    centre: float
    sigma: float
    n: float = np.inf


def in_control(baseline: np.ndarray) -> Spread:
    """Mean of the baseline, and its standard deviation by the mean moving range / 1.128.

    Ranges of neighbours leave slow changes out; ``± 3 sigma`` is the classical ``± 2.66`` mean
    moving ranges.

    Parameters
    ----------
    baseline : ndarray, (n,)
        In order of time, n >= 2.
    """
    sigma = np.abs(np.diff(baseline)).mean() / MOVING_RANGE_FACTOR
    return Spread(baseline.mean(), sigma, baseline.size)


def limits(spread: Spread, n: np.ndarray | float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Limits ``centre ± 3 sigma √(1 / n + 1 / m)`` of means of n values, m in the baseline."""
    half = SIGMAS * spread.sigma * np.sqrt(1 / n + 1 / spread.n)
    return spread.centre - half, spread.centre + half


def moving_average(values: np.ndarray, spread: Spread, weight: float) -> np.ndarray:
    """Exponentially weighted moving average, limits beside it.

    ``z_t = weight x_t + (1 - weight) z_{t-1}`` from the centre on; its variance is ``sigma² weight
    / (2 - weight) (1 - (1 - weight)^{2t})``, to which that of the centre is added.

    Parameters
    ----------
    values : ndarray, (n,)
    spread : Spread
    weight : float
        Of the newest value, above 0 and at most 1.

    Returns
    -------
    ndarray, (n, 3)
        Average, lower and upper limit (3 sigma).
    """
    average, z = np.empty(values.size), spread.centre
    for t, value in enumerate(values):
        z = weight * value + (1 - weight) * z
        average[t] = z
    t = np.arange(1, values.size + 1)
    share = weight / (2 - weight) * (1 - (1 - weight) ** (2 * t))
    half = SIGMAS * spread.sigma * np.sqrt(share + 1 / spread.n)
    return np.column_stack([average, spread.centre - half, spread.centre + half])


def group_limits(values: np.ndarray, groups: np.ndarray) -> dict[str, tuple[float, ...]]:
    """Compare groups with all: means, and limits about the grand mean.

    The limits are ``grand mean ± 3 s √((N - n) / (N n))``, s pooled within groups: the spread of
    the difference between a group's mean and the grand mean, which the group is part of.

    Parameters
    ----------
    values : ndarray, (n,)
    groups : ndarray of str, (n,)
        At least two groups, some with 2 values or more.

    Returns
    -------
    dict
        Group to n, mean, grand mean, lower and upper limit.
    """
    names = list(dict.fromkeys(groups))
    parts = {name: values[groups == name] for name in names}
    total, grand = values.size, values.mean()
    within = sum(((part - part.mean()) ** 2).sum() for part in parts.values())
    s = np.sqrt(within / (total - len(parts)))
    found = {}
    for name, part in parts.items():
        half = SIGMAS * s * np.sqrt((total - part.size) / (total * part.size))
        found[name] = (part.size, part.mean(), grand, grand - half, grand + half)
    return found


def count_limits(baseline_count: int, baseline_n: int, n: int) -> tuple[int, int]:
    """Fewest and most of n scans that are expected, as often as ± 3 sigma of a normal process.

    Quantiles of the beta-binomial predictive distribution after the baseline (Jeffreys' prior): a
    baseline without any failure does not promise that none will come.
    """
    expected = stats.betabinom(n, baseline_count + 0.5, baseline_n - baseline_count + 0.5)
    return int(expected.ppf(TAIL)), int(expected.ppf(1 - TAIL))


def runs(values: np.ndarray, centre: float, length: int) -> np.ndarray:
    """Tell, for each value, whether it is at least the `length`-th in a row on one side.

    Parameters
    ----------
    values : ndarray, (n,)
    centre : float
        A value that equals it ends a run.
    length : int

    Returns
    -------
    ndarray of bool, (n,)
    """
    side, run, found = 0.0, 0, np.zeros(values.size, bool)
    for t, now in enumerate(np.sign(values - centre)):
        run = run + 1 if now == side and now != 0 else int(now != 0)
        side, found[t] = now, run >= length
    return found
