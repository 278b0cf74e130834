"""Phantoms as scans: their own grid, and contrast and noise measured around their roots."""

import pytest
from calcohort.outcomes import UserError
from calcohort.phantom.description import describe_phantom
from calcohort.phantom.families import FAMILIES
from calcohort.training.description import describe_scan
from calcohort.volume import Volume

SEED = 1


def test_the_grid_is_the_scans_own_and_costs_no_rendering():
    described = describe_phantom("template", SEED, measured=False)
    spacing = FAMILIES["template"].draw(SEED).spacing_mm
    assert described["slice_spacing_mm"] == pytest.approx(0.625)
    assert described["pixel_spacing_mm"] == pytest.approx(spacing[1])
    assert described["field_of_view_mm"] == pytest.approx(512 * spacing[1])
    assert described["coverage_mm"] == pytest.approx(160)
    assert described["luminance_hu"] is None


def test_contrast_and_noise_are_those_of_the_whole_scan():
    family, patient = FAMILIES["template"], FAMILIES["template"].draw(SEED)
    scan = family.scan_grid(patient)
    whole = family.render(patient, scan)
    expected = describe_scan(Volume(whole.hu, scan.affine), whole.root)
    described = describe_phantom("template", SEED, measured=True)
    assert described["luminance_hu"] == pytest.approx(expected["luminance_hu"], abs=2)
    assert described["luminance_sd_hu"] == pytest.approx(expected["luminance_sd_hu"], rel=0.1)
    assert described["coverage_mm"] == expected["coverage_mm"]


def test_an_unknown_family_is_told():
    with pytest.raises(UserError, match="'narrow' is unknown"):
        describe_phantom("narrow", SEED, measured=False)
