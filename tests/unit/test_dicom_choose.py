import json

import numpy as np
import pytest
from calcohort.dicom.choose import choose_series
from calcohort.dicom.facts import has_contrast, phase_percent, summarise
from calcohort.dicom.find import find_series
from calcohort.dicom.rule import DEFAULT, Rule
from calcohort.outcomes import Excluded, Reason, UserError
from calcohort.study import read_config, read_settings
from dicom_factory import KEY, NAME, PATIENT, SLICES, along_normal, uid, write_series
from pydicom.uid import EnhancedCTImageStorage, MRImageStorage

LOCALIZER = r"ORIGINAL\PRIMARY\LOCALIZER"
DERIVED = r"DERIVED\SECONDARY\AXIAL"


def choose(folder, series_uid=None, rule=None):
    rule = rule or Rule(prefer=(("min_slices", SLICES), *DEFAULT[1:]))
    return choose_series(find_series(folder), series_uid, rule, key=KEY)


def refusal(folder, series_uid=None):
    with pytest.raises(Excluded) as caught:
        choose(folder, series_uid)
    return caught.value


def one(folder, **elements):
    write_series(folder, positions=along_normal(3), **elements)
    return find_series(folder).series[0]


def test_thin_contrast_axial_series_among_many(tmp_path):
    thin, thick = along_normal(14, 1.0), along_normal(SLICES, 3.0)
    agent = {"ContrastBolusAgent": "Iomeron"}
    write_series(tmp_path, "scout", positions=along_normal(1), ImageType=LOCALIZER)
    write_series(tmp_path, "derived", positions=along_normal(13, 0.5), ImageType=DERIVED, **agent)
    write_series(tmp_path, "native", positions=along_normal(12, 0.5))
    write_series(tmp_path, "thick", positions=thick, **agent)
    write_series(tmp_path, "thin", positions=thin, SeriesNumber=9, **agent)
    write_series(tmp_path, "bolus", positions=along_normal(4, 0.5), **agent)
    choice = choose(tmp_path)
    assert choice.series.uid == uid("thin")
    assert (
        choice.why == "one of 4 original axial CT series, chosen before the next by slice spacing"
    )
    why_not = {c["images"]: c["why_not_chosen"] for c in choice.candidates}
    assert why_not == {
        1: "not original axial CT: localizer",
        13: "not original axial CT: derived",
        12: "ranks behind by contrast agent",
        SLICES: "ranks behind by slice spacing",
        14: "",
        4: "ranks behind by enough slices",
    }


def test_best_diastole_among_phases(tmp_path):
    for percent in (35, 70, 90):
        write_series(tmp_path, f"p{percent}", SeriesDescription=f"CorCTA 0.6 Bv40 {percent} %")
    choice = choose(tmp_path)
    assert choice.series.uid == uid("p70")
    assert "cardiac phase" in choice.why


def test_more_slices_then_finer_pixels_then_series_number(tmp_path):
    write_series(tmp_path / "1", "few", positions=along_normal(SLICES))
    write_series(tmp_path / "1", "many", positions=along_normal(SLICES + 1))
    assert choose(tmp_path / "1").series.uid == uid("many")
    write_series(tmp_path / "2", "coarse", PixelSpacing=[0.9, 0.9], SeriesNumber=1)
    write_series(tmp_path / "2", "fine", PixelSpacing=[0.4, 0.4], SeriesNumber=8)
    assert choose(tmp_path / "2").series.uid == uid("fine")
    write_series(tmp_path / "3", "second", SeriesNumber=20)
    write_series(tmp_path / "3", "first", SeriesNumber=3)
    assert choose(tmp_path / "3").series.uid == uid("first")


def test_a_tie_is_broken_by_uid_not_by_file_name(tmp_path):
    labels = sorted("ab", key=uid)
    for folder, names in (("1", "xy"), ("2", "yx")):
        for label, name in zip(labels, names, strict=True):
            write_series(tmp_path / folder / name, label)
        assert choose(tmp_path / folder).series.uid == uid(labels[0])


def test_the_sheet_can_name_a_series_and_admit_a_derived_one(tmp_path):
    write_series(tmp_path, "good")
    write_series(tmp_path, "reformat", ImageType=DERIVED)
    choice = choose(tmp_path, uid("reformat"))
    assert choice.series.uid == uid("reformat")
    assert choice.why == "named by series_uid in the sheet"


def test_a_named_series_must_exist_and_be_ct(tmp_path):
    write_series(tmp_path, "ct")
    write_series(tmp_path, "mr", Modality="MR", SOPClassUID=MRImageStorage)
    assert refusal(tmp_path, "1.2.3").reason is Reason.SERIES_NOT_FOUND
    assert refusal(tmp_path, uid("mr")).reason is Reason.NOT_CT


def test_mixed_patients_are_refused_unless_a_series_is_named(tmp_path):
    write_series(tmp_path, "a")
    write_series(tmp_path, "b", PatientID="another", PatientName="Roe^Richard")
    problem = refusal(tmp_path)
    assert problem.reason is Reason.MIXED_PATIENTS
    assert choose(tmp_path, uid("b")).series.uid == uid("b")


@pytest.mark.parametrize("blank", ["PatientID", "PatientName"])
def test_patients_in_one_series_are_mixed_even_when_it_is_named(tmp_path, blank):
    other = "PatientName" if blank == "PatientID" else "PatientID"
    write_series(tmp_path, "a", **{blank: "", other: lambda k: f"P{k // 5}"})
    assert refusal(tmp_path, uid("a")).reason is Reason.MIXED_PATIENTS


def test_patients_whose_files_lack_a_series_uid_are_not_mixed(tmp_path):
    write_series(tmp_path, "a", SeriesInstanceUID=None)
    write_series(tmp_path, "b", SeriesInstanceUID=None, PatientID="another")
    assert refusal(tmp_path).reason is Reason.MIXED_PATIENTS


def test_spelling_of_a_name_does_not_make_two_patients(tmp_path):
    write_series(tmp_path, "a", PatientName="DOE^Jane^^")
    write_series(tmp_path, "b", positions=along_normal(3), PatientName="Doe^Jane")
    assert choose(tmp_path).series.uid == uid("a")


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"Modality": "MR", "SOPClassUID": MRImageStorage}, Reason.NOT_CT),
        ({"ImageType": LOCALIZER}, Reason.NO_AXIAL_SERIES),
        ({"ImageType": DERIVED}, Reason.NO_AXIAL_SERIES),
        (
            {"NumberOfFrames": 4, "SOPClassUID": EnhancedCTImageStorage},
            Reason.NOT_CONVERTIBLE,
        ),
    ],
)
def test_nothing_to_choose_from(tmp_path, elements, reason):
    write_series(tmp_path, **elements)
    assert refusal(tmp_path).reason is reason


def test_empty_folder_and_damaged_files_only(tmp_path):
    assert refusal(tmp_path).reason is Reason.NO_FILES
    (tmp_path / "notes.txt").write_text("no image")
    assert refusal(tmp_path).reason is Reason.NO_FILES
    (tmp_path / "I10").touch()
    assert refusal(tmp_path).reason is Reason.UNREADABLE


def test_candidates_hold_hashes_and_no_identifier(tmp_path):
    write_series(tmp_path, "a", SeriesDescription=f"{NAME} 75%")
    write_series(tmp_path, "b", positions=along_normal(3))
    written = json.dumps(choose(tmp_path).candidates)
    for secret in (uid("a"), uid("b"), NAME, PATIENT, "1.2.826"):
        assert secret not in written


def test_slice_spacing_comes_from_positions_not_from_thickness(tmp_path):
    assert summarise(one(tmp_path / "a", SliceThickness=9), KEY).slice_spacing_mm == 2.0
    without = one(tmp_path / "b", ImagePositionPatient=None)
    assert summarise(without, KEY).slice_spacing_mm is None


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("OMNIPAQUE 350", True),
        ("APPLIED", True),
        ("Novaloop 370", True),
        ("NONE", False),
        ("no contrast", False),
        ("w/o", False),
        ("", None),
        (None, None),
    ],
)
def test_contrast(tmp_path, agent, expected):
    elements = {} if agent is None else {"ContrastBolusAgent": agent}
    assert has_contrast(one(tmp_path, **elements).first) is expected


@pytest.mark.parametrize(
    ("elements", "expected"),
    [
        ({"NominalPercentageOfCardiacPhase": 40.0, "SeriesDescription": "75%"}, 40),
        ({"TriggerTime": 300, "NominalInterval": 800}, 37.5),
        ({"TriggerTime": 300}, None),
        ({"SeriesDescription": "CTA 0.75 Bv36 BestDiast"}, 75),
        ({"SeriesDescription": "BestSyst 38 %"}, 38),
        ({"SeriesDescription": "multiphase 0-90%"}, None),
        ({"SeriesDescription": "30% and 75%"}, None),
        ({}, None),
    ],
)
def test_phase(tmp_path, elements, expected):
    assert phase_percent(one(tmp_path, **elements).first) == expected


def test_slices_of_an_oblique_series_are_measured_along_their_normal(tmp_path):
    c, s = np.cos(0.3), np.sin(0.3)
    iop = (1, 0, 0, 0, c, s)
    write_series(tmp_path, positions=along_normal(5, 1.25, iop), iop=iop)
    assert summarise(find_series(tmp_path).series[0], KEY).slice_spacing_mm == 1.25


@pytest.mark.parametrize(
    ("prefer", "taken"),
    [
        ([{"kernel": ["bv4*", "B26f"]}], "soft"),
        ([{"kernel": ["none of them"]}, {"series_number": "smallest"}], "sharp"),
        ([{"phase_percent": 40}], "systole"),
        ([{"contrast": False}, {"series_number": "largest"}], "systole"),
        ([{"slice_spacing_mm": 3}], "thick"),
        ([{"slice_spacing_mm": "largest"}], "thick"),
        ([{"min_slices": 12}], "thick"),
        ([{"images": "smallest"}, {"pixel_spacing_mm": "smallest"}], "soft"),
    ],
)
def test_the_rule_is_the_configs(tmp_path, prefer, taken):
    agent = {"ContrastBolusAgent": "Iomeron"}
    write_series(tmp_path, "sharp", ConvolutionKernel="B60f", SeriesNumber=1, **agent)
    soft = {"ConvolutionKernel": "Bv40", "PixelSpacing": [0.3, 0.3], "SeriesNumber": 2}
    write_series(tmp_path, "soft", **soft, **agent)
    systole = {"NominalPercentageOfCardiacPhase": 38.0, "SeriesNumber": 9}
    write_series(tmp_path, "systole", ConvolutionKernel="B26f", **systole)
    write_series(tmp_path, "thick", positions=along_normal(12, 3.0), SeriesNumber=3, **agent)
    rule = Rule.of({"admit": ["axial"], "prefer": prefer})
    assert choose(tmp_path, rule=rule).series.uid == uid(taken)


def test_derived_series_are_taken_only_where_the_rule_admits_them(tmp_path):
    write_series(tmp_path, "reformat", ImageType=DERIVED)
    assert refusal(tmp_path).reason is Reason.NO_AXIAL_SERIES
    choice = choose(tmp_path, rule=Rule(admit=("axial", "derived")))
    assert choice.why == "the only derived CT series"


def test_the_default_rule_is_that_of_the_shipped_config():
    settings = read_settings(read_config())
    assert Rule.of(settings["choose"]) == Rule()


@pytest.mark.parametrize(
    ("choose", "told"),
    [
        ({"prefer": [{"thickness": "smallest"}]}, "thickness"),
        ({"prefer": [{"images": "most"}]}, "images"),
        ({"admit": ["localizer"]}, "localizer"),
        ({"prefer": [{"images": "largest", "contrast": True}]}, "prefer.0"),
    ],
)
def test_a_mistake_in_the_rule_is_told(choose, told):
    config = read_config()
    with pytest.raises(UserError, match=told):
        read_settings(config | {"choose": config["choose"] | choose})
