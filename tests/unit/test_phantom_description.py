"""Phantoms as scans: their own grid, and contrast and noise measured around their roots."""

import subprocess
import sys

import numpy as np
import pytest
from calcohort.applicability import ranges_table, read_ranges
from calcohort.outcomes import UserError
from calcohort.phantom.description import describe_phantom
from calcohort.phantom.families import FAMILIES
from calcohort.study import ROOT
from calcohort.training.card import with_ranges
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


def test_contrast_and_noise_are_those_of_a_larger_part_of_the_scan():
    family, patient = FAMILIES["template"], FAMILIES["template"].draw(SEED)
    scan = family.scan_grid(patient)
    centre = scan.index(family.root_box(patient).mean(axis=0))
    larger = scan.window(tuple(np.round(centre).astype(int) - 64), (128, 128, 128))
    rendered = family.render(patient, larger)
    expected = describe_scan(Volume(rendered.hu, larger.affine), rendered.root)
    described = describe_phantom("template", SEED, measured=True)
    assert described["luminance_hu"] == pytest.approx(expected["luminance_hu"], abs=2)
    assert described["luminance_sd_hu"] == pytest.approx(expected["luminance_sd_hu"], rel=0.1)
    assert described["coverage_mm"] == pytest.approx(160)


def test_an_unknown_family_is_told():
    with pytest.raises(UserError, match="'narrow' is unknown"):
        describe_phantom("narrow", SEED, measured=False)


def test_the_command_writes_ranges_and_their_section_of_the_card(tmp_path):
    card, path = tmp_path / "MODEL_CARD.md", tmp_path / "ranges.yaml"
    card.write_text("# Card\n\n## Ranges\nold\n\n## Limits\n")
    asked = ["--family", "template=2", "--first-seed", SEED, "--measured", 1, "--card", card]
    command = [sys.executable, ROOT / "workflow_scripts/describe_training.py", path, *asked]
    run = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    found = read_ranges(path)
    assert found["scans"] == f"2 template phantoms, seeds from {SEED} on"
    assert found["ranges"]["coverage_mm"] == {"low": 160, "high": 160, "scans": 2}
    assert found["ranges"]["luminance_hu"]["scans"] == 1
    assert run.stdout.strip() == ranges_table(found["ranges"])
    assert card.read_text() == with_ranges("# Card\n\n## Ranges\n\n## Limits\n", **found)
