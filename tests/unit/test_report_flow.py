"""The flow of scans: every scan is counted once, with its reason."""

import xml.etree.ElementTree as ET

import pandas as pd
import pytest
from calcohort.outcomes import Reason
from calcohort.report.flow import STAGES, count_flow, flow_diagram
from hypothesis import given, settings
from hypothesis import strategies as st

COLUMNS = ["scan_id", "status", "stage", "reason"]
ended = st.tuples(
    st.sampled_from(["excluded", "failed"]),
    st.sampled_from([*STAGES, "picture"]),
    st.sampled_from(list(Reason)).map(str),
)
outcomes = st.lists(st.one_of(st.just(("measured", "measure", None)), ended), max_size=30)


def table(rows) -> pd.DataFrame:
    return pd.DataFrame([(f"s{n}", *row) for n, row in enumerate(rows)], columns=COLUMNS)


COHORT = table(
    [("measured", "measure", None)] * 5
    + [("excluded", "convert", "not_ct")] * 2
    + [("excluded", "convert", "tilted"), ("failed", "convert", "crashed")]
    + [("excluded", "localise", "root_not_found")]
)


def test_counts_of_a_small_cohort():
    steps = {step.stage: (step.left, step.losses) for step in count_flow(COHORT)}
    assert steps == {
        "convert": (
            6,
            [("excluded", "not_ct", 2), ("excluded", "tilted", 1), ("failed", "crashed", 1)],
        ),
        "localise": (5, [("excluded", "root_not_found", 1)]),
        "root": (5, []),
        "measure": (5, []),
    }


@settings(max_examples=60)
@given(outcomes)
def test_every_scan_is_counted_once(rows):
    steps = count_flow(table(rows))
    lost = sum(n for step in steps for *_, n in step.losses)
    assert lost + steps[-1].left == len(rows)
    assert steps[-1].left == sum(row[0] == "measured" for row in rows)
    left = [len(rows)] + [step.left for step in steps]
    assert left == sorted(left, reverse=True)


def test_a_review_stands_at_the_end_with_its_verdicts():
    rows = [
        ("measured", "measure", None, "accepted"),
        ("measured", "measure", None, "undecided"),
        ("measured", "measure", None, None),
        ("measured", "measure", None, "outdated"),
        ("excluded", "review", "rejected_by_reviewer", "rejected"),
        ("excluded", "picture", "crashed", None),
    ]
    scans = table([row[:3] for row in rows]).assign(review=[row[3] for row in rows])
    steps = count_flow(scans)
    assert [(s.stage, s.left) for s in steps[-2:]] == [("measure", 5), ("review", 4)]
    assert steps[-1].label == "Kept after review, 1 accepted, 2 not looked at"
    assert steps[-1].losses == [("excluded", "rejected_by_reviewer", 1)]
    unreviewed = count_flow(table([("measured", "measure", None)]).assign(review=None))
    assert unreviewed[-1].stage == "measure"


def test_outcomes_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match="1 scans are left"):
        count_flow(table([("lost", "crop", None)]))


def test_diagram_is_well_formed_and_says_reasons_in_words():
    root = ET.fromstring(str(flow_diagram(COHORT)))
    said = " ".join(root.itertext())
    assert "Scans in the sheet (n = 10)" in said
    assert "Excluded at convert (n = 3)" in said and "Failed at convert (n = 1)" in said
    assert "2 × no series of the folder is CT" in said
    assert "Calcium measured (n = 5)" in said
    titled = root.attrib["aria-labelledby"].split()
    assert [root.find(f".//*[@id='{name}']") is not None for name in titled] == [True, True]


def test_diagram_of_no_scans():
    assert "(n = 0)" in flow_diagram(table([]))


def test_hostile_text_is_escaped():
    svg = flow_diagram(table([("excluded", "<script>", "</svg><script>alert(1)</script>")]))
    assert "<script" not in svg
    ET.fromstring(str(svg))
