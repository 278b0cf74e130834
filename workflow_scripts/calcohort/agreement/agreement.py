"""The agreement table: every quantity, threshold rule and subgroup against every reference."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd

from calcohort.agreement.concordance import category_names, confusion
from calcohort.agreement.readings import READER, UNITS, find_readings, reader_pairs
from calcohort.agreement.statistics import STATISTICS, agree
from calcohort.agreement.subgroups import WHOLE, find_subgroups
from calcohort.outcomes import UserError

RULES = ("F1", "F2", "F3", "F4", "F5", "F6", "F7")
WITHOUT_RULE = ("root_volume_mm3",)
IDENTITY = ("comparison", "reference", "quantity", "unit", "rule", "subgroup", "level")
COLUMNS = (*IDENTITY, "scans_with_reference", "n", *STATISTICS, "note")
CATEGORY_COLUMNS = (*IDENTITY[:5], "category", "reference_category", "n")


@dataclass(frozen=True)
class Choices:
    """What a study asks of its agreement (`agreement` in config.yaml).

    Attributes
    ----------
    subgroups : mapping
        See `subgroups.find_subgroups`.
    categories : mapping
        Quantity to the cut points of its categories, for kappa.
    equivalence_margins : mapping
        Quantity to the largest bias that does not matter, in the quantity's unit.
    """

    subgroups: Mapping[str, Sequence[float]] = field(default_factory=dict)
    categories: Mapping[str, Sequence[float]] = field(default_factory=dict)
    equivalence_margins: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse cut points that do not rise (UserError)."""
        for kind in ("subgroups", "categories"):
            for name, cuts in getattr(self, kind).items():
                if list(cuts) != sorted(cuts):
                    raise UserError(f"config: agreement.{kind}.{name}: {cuts} do not rise")


def pair(
    calcium: pd.DataFrame, sheet: pd.DataFrame, rule: str | None, quantity: str, column: str
) -> pd.DataFrame:
    """Pair one rule's measurements with the reference values of the same scans.

    Parameters
    ----------
    calcium : DataFrame
        Long form: `scan_id`, `rule`, and `quantity`; one row per scan and rule.
    sheet : DataFrame
        `scan_id`, and `column` where the study has this reference; one row per scan.
    rule, quantity, column : str
        The rule, the measured column of `calcium`, and the reference column of `sheet`. Without a
        rule the quantity is the same under all of them, and the first row of a scan is taken.

    Returns
    -------
    DataFrame
        `scan_id`, `automatic`, `reference` of the scans that have a reference, in the sheet's
        order; `automatic` is NaN where the scan was not measured.

    Raises
    ------
    ValueError
        When a scan stands twice in the sheet, or twice under one rule.
    """
    rows = calcium[calcium["rule"] == rule] if rule else calcium.drop_duplicates("scan_id")
    measured = rows.reindex(columns=["scan_id", quantity])
    given = sheet.reindex(columns=["scan_id", column]).dropna(subset=[column])
    pairs = given.merge(measured, on="scan_id", how="left", validate="one_to_one")
    return pd.DataFrame(
        {
            "scan_id": pairs["scan_id"],
            "automatic": pairs[quantity].astype(float),
            "reference": pairs[column].astype(float),
        }
    )


def agreement_table(
    calcium: pd.DataFrame,
    sheet: pd.DataFrame,
    *,
    columns: Mapping[str, str] = READER,
    reference: str | None = None,
    rules: Sequence[str] = RULES,
    choices: Choices | None = None,
) -> pd.DataFrame:
    """Compare automatic measurements with readers, and readers with each other.

    Parameters
    ----------
    calcium, sheet : DataFrame
        See `pair`.
    columns : mapping
        Quantity of `calcium` to the column of `sheet` that holds its reference; columns named
        after it hold further readings (`readings`).
    reference : str, optional
        Name of another reference than readers, for instance a phantom's physical volume: then
        `columns` names its columns, and there are no readings.
    rules : sequence of str
        The rules of `calcium` to compare.
    choices : Choices, optional

    Returns
    -------
    DataFrame
        `COLUMNS`, one row per comparison, quantity, rule and subgroup. `scans_with_reference`
        counts the scans that have a reference, `n` those of them that were measured: a scan that
        dropped out is seen. In rows of two readers the rule is empty.

    Raises
    ------
    UserError
        See `find_subgroups`.
    """
    choices = choices or Choices()
    groups = find_subgroups(sheet, choices.subgroups)
    rows = []
    for identity, pairs in _comparisons(calcium, sheet, columns, reference, rules):
        quantity = identity["quantity"]
        asked = {
            "cuts": choices.categories.get(quantity),
            "margin": choices.equivalence_margins.get(quantity),
        }
        for (subgroup, level), members in groups.items():
            part = pairs[pairs["scan_id"].isin(members)]
            both = part.dropna()
            row = identity | {"subgroup": subgroup, "level": level}
            row |= {"scans_with_reference": len(part)}
            rows.append(row | agree(both["automatic"], both["reference"], **asked))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def category_table(
    calcium: pd.DataFrame,
    sheet: pd.DataFrame,
    *,
    columns: Mapping[str, str] = READER,
    rules: Sequence[str] = RULES,
    choices: Choices,
) -> pd.DataFrame:
    """Cross-tabulate categories in the whole cohort; parameters as of `agreement_table`.

    Returns
    -------
    DataFrame
        `CATEGORY_COLUMNS`: one row per comparison and cell of the confusion table, zeros included.
    """
    rows = []
    for identity, pairs in _comparisons(calcium, sheet, columns, None, rules):
        cuts = choices.categories.get(identity["quantity"])
        both = pairs.dropna()
        if not cuts or both.empty:
            continue
        names = category_names(cuts)
        counts = confusion(both["automatic"].to_numpy(), both["reference"].to_numpy(), cuts)
        rows += [
            identity | {"category": row, "reference_category": column, "n": int(counts[i, j])}
            for i, row in enumerate(names)
            for j, column in enumerate(names)
        ]
    return pd.DataFrame(rows, columns=list(CATEGORY_COLUMNS))


def whole_cohort(table: pd.DataFrame, comparison: str = "automatic") -> pd.DataFrame:
    """Rows of one comparison that are of the whole cohort."""
    subgroup, level = WHOLE
    return table[
        (table["comparison"] == comparison)
        & (table["subgroup"] == subgroup)
        & (table["level"] == level)
    ]


def _comparisons(calcium, sheet, columns, reference, rules):
    """Yield (identity, pairs) of every comparison, quantity by quantity."""
    for quantity, column in columns.items():
        shared = {"quantity": quantity, "unit": UNITS[quantity]}
        readings = find_readings(column, sheet.columns)
        firsts = [(r.name, r.column) for r in readings if r.number == 1]
        if reference is not None:
            firsts, readings = [(reference, column)], []
        for name, given in firsts or [("reader", column)]:
            for rule in (None,) if quantity in WITHOUT_RULE else rules:
                identity = {"comparison": "automatic", "reference": name, "rule": rule}
                yield identity | shared, pair(calcium, sheet, rule, quantity, given)
        for comparison, first, second in reader_pairs(readings):
            identity = {"comparison": comparison, "rule": None}
            identity |= {"reference": f"{first.name} − {second.name}"}
            given = sheet[["scan_id", first.column, second.column]].dropna()
            yield identity | shared, given.set_axis(["scan_id", "automatic", "reference"], axis=1)
