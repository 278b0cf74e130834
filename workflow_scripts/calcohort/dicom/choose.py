"""Choose the one CT series that stands for a scan, and say why, for every series.

Which kinds of series are candidates and which of them is taken is a `Rule`. The choice looks at
headers alone: whether the chosen series is sound is judged afterwards, so that a cohort never mixes
in a worse reconstruction of a scan because its best one is damaged.
"""

from dataclasses import dataclass

from pydicom.dataset import Dataset

from calcohort.dicom.facts import Summary, describe, facts_of, summarise
from calcohort.dicom.find import Found, Series, text
from calcohort.dicom.rule import Rule
from calcohort.outcomes import Excluded, Reason


@dataclass(frozen=True)
class Choice:
    """The chosen series, why, and what became of the others (`candidates`, JSON-able)."""

    series: Series
    why: str
    candidates: list[dict]


def choose_series(found: Found, series_uid: str | None, rule: Rule, key: bytes) -> Choice:
    """Choose one series.

    Parameters
    ----------
    found : Found
        What the folder holds.
    series_uid : str or None
        The series named in the sheet. It overrides the criteria, and admits derived and non-axial
        images: the user has looked at them. It never admits what is not CT.
    rule : Rule
        What is admitted and what is preferred.
    key : bytes
        Key of the hashes that name the candidates.

    Raises
    ------
    Excluded
        `no_files`, `unreadable`, `mixed_patients`, `series_not_found`, `not_ct`, `not_convertible`,
        `no_axial_series`.
    """
    refuse_nothing(found)
    if series_uid:
        return _named(found, series_uid.strip(), key)
    if len({_patient(i.header, key) for series in found.series for i in series.images}) > 1:
        raise Excluded(
            Reason.MIXED_PATIENTS,
            "the files name several patients, or some name none; separate them or give series_uid",
        )
    series_of = {summarise(series, key): series for series in found.series}
    ranked, why_not = rank_series(list(series_of), rule)
    if not ranked:
        raise _nothing_axial(found)
    if ranked[0].facts.kind == "multi-frame":
        raise _multi_frame()
    candidates = [describe(s, key) | {"why_not_chosen": why_not[s]} for s in series_of]
    return Choice(series_of[ranked[0]], why_chosen(ranked, rule), candidates)


def rank_series(summaries: list[Summary], rule: Rule) -> tuple[list[Summary], dict[Summary, str]]:
    """Sort the candidates among a study's series, the best first.

    Returns
    -------
    ranked : list of Summary
        The candidates.
    why_not : dict
        For every series why it is not taken, "" for the one that is.
    """
    ranked = sorted((s for s in summaries if s.facts.kind in rule.admit), key=rule.rank)
    why_not = {s: f"not original axial CT: {s.facts.kind}" for s in summaries}
    for summary in ranked:
        decider = rule.decider(rule.rank(ranked[0]), rule.rank(summary))
        why_not[summary] = "" if summary is ranked[0] else f"ranks behind by {decider}"
    return ranked, why_not


def why_chosen(ranked: list[Summary], rule: Rule) -> str:
    """Say why the first of the ranked candidates is taken."""
    met = {summary.facts.kind for summary in ranked}
    kinds = " or ".join("original axial" if k == "axial" else k for k in rule.admit if k in met)
    if len(ranked) == 1:
        return f"the only {kinds} CT series"
    decider = rule.decider(rule.rank(ranked[0]), rule.rank(ranked[1]))
    return f"one of {len(ranked)} {kinds} CT series, chosen before the next by {decider}"


def refuse_nothing(found: Found) -> None:
    """Raise `unreadable` or `no_files` where no series was found."""
    if not found.series and found.broken:
        raise Excluded(
            Reason.UNREADABLE, f"all {len(found.broken)} DICOM files are damaged in their header"
        )
    if not found.series:
        raise Excluded(Reason.NO_FILES, f"no DICOM among {found.ignored} files")


def _named(found: Found, uid: str, key: bytes) -> Choice:
    groups = [series for series in found.series if series.uid == uid]
    if not groups:
        raise Excluded(
            Reason.SERIES_NOT_FOUND,
            f"the series_uid of the sheet is not among {len(found.series)} series",
        )
    usable = [series for series in groups if series.kind not in ("not CT", "no image")]
    if not usable:
        raise Excluded(Reason.NOT_CT, "the series named in the sheet holds no CT images")
    chosen = max(usable, key=lambda series: (series.kind == "axial", len(series.images)))
    if chosen.kind == "multi-frame":
        raise _multi_frame()
    if len({_patient(image.header, key) for image in chosen.images}) > 1:
        raise Excluded(Reason.MIXED_PATIENTS, "the series named in the sheet mixes patients")
    described = [
        describe(summarise(s, key), key)
        | {"why_not_chosen": "" if s is chosen else "another series is named in the sheet"}
        for s in found.series
    ]
    return Choice(chosen, "named by series_uid in the sheet", described)


def _patient(header: Dataset, key: bytes) -> tuple[str | None, str | None]:
    facts = facts_of(header, key)
    return facts.patient_hash, facts.name_hash


def _nothing_axial(found: Found) -> Excluded:
    kinds = [series.kind for series in found.series]
    if set(kinds) <= {"not CT", "no image"}:
        modalities = sorted({text(s.first, "Modality") or "none" for s in found.series})
        return Excluded(Reason.NOT_CT, f"no CT images; modalities found: {', '.join(modalities)}")
    if "multi-frame" in kinds:
        return _multi_frame()
    counts = ", ".join(f"{len(s.images)} {s.kind}" for s in found.series)
    advice = "; a series_uid in the sheet can admit a derived series" if "derived" in kinds else ""
    return Excluded(
        Reason.NO_AXIAL_SERIES, f"no original axial CT series; images found: {counts}{advice}"
    )


def _multi_frame() -> Excluded:
    return Excluded(
        Reason.NOT_CONVERTIBLE,
        "the CT is multi-frame but no enhanced CT; export it as single-slice CT images",
    )
