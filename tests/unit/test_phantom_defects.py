"""Every named defect, alone and in pairs, through the whole conversion, repairs off and on."""

import numpy as np
import pytest
from calcohort.dicom.convert import convert_scan
from calcohort.dicom.limits import NO_REPAIRS
from calcohort.dicom.rule import Rule
from calcohort.outcomes import Excluded
from calcohort.phantom.defects.scan import (
    COLUMNS,
    DEFECTS,
    ROWS,
    SLICES,
    truth_hu,
    write_defective,
)
from calcohort.phantom.defects.table import ALL_REPAIRS, LIMITS, PAIRS, cases
from calcohort.volume import read

AIR_HU = -1024
RESAMPLED = {"tilt", "missing_slices", "uneven_spacing"}
PADDED = {"padding below air", "padding above bone"}
PADDED_VOXELS = SLICES * 6 * 9
CASES = [*cases()]


def outcome(case, folder, repairs):
    """Reason and findings of the conversion, and its volume."""
    ct = folder / "ct.nii.gz"
    try:
        findings = convert_scan(
            folder / "dicom", ct, series_uid=None, limits=LIMITS, key=b"test", repairs=repairs
        )
    except Excluded as problem:
        assert not ct.exists()
        return problem.reason, None, None
    return None, findings, read(ct)


def assert_true(case, volume, names):
    """Each voxel has the HU of its place, or is padding of a known number and value."""
    index = np.moveaxis(np.indices(volume.array.shape), 0, -1)
    truth = truth_hu(volume.grid.world(index))
    resampled = RESAMPLED & set(names)
    padded = PADDED & {defect.name for defect in case.defects}
    wrong = np.abs(volume.array - truth) > (1.0 if resampled else 0.7)
    if resampled:
        mixed = (volume.array >= AIR_HU) & (volume.array < truth) if padded else False
        assert ((volume.array == AIR_HU) | mixed)[wrong].all()
        assert np.count_nonzero(~wrong) > 0.8 * SLICES * ROWS * COLUMNS
    elif padded:
        assert np.count_nonzero(wrong) == PADDED_VOXELS
        assert set(np.unique(volume.array[wrong])) == {AIR_HU if "padding" in names else -2000}
    else:
        assert not wrong.any()


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("repairing", [False, True], ids=["off", "on"])
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_outcome_and_truth(case, repairing, tmp_path):
    write_defective(tmp_path / "dicom", case.defects)
    repairs = ALL_REPAIRS if repairing else NO_REPAIRS
    reason, findings, volume = outcome(case, tmp_path, repairs)
    assert reason == (case.refused_repairing if repairing else case.refused)
    if reason is None:
        names = [record["repair"] for record in findings["repairs"]]
        assert names == (list(case.repairs) if repairing else [])
        assert_true(case, volume, names)


def test_the_scan_without_a_defect_is_true(tmp_path):
    write_defective(tmp_path / "dicom", [])
    case = CASES[0]
    reason, findings, volume = outcome(case, tmp_path, ALL_REPAIRS)
    assert (reason, findings["repairs"]) == (None, [])
    index = np.moveaxis(np.indices(volume.array.shape), 0, -1)
    np.testing.assert_allclose(volume.array, truth_hu(volume.grid.world(index)), atol=0.5001)
    np.testing.assert_allclose(volume.grid.spacing_mm, (1.5, 0.75, 0.75))


def test_defects_are_many_and_named_once():
    assert len(DEFECTS) >= 60
    assert len(PAIRS) >= 10
    assert len({case.name for case in CASES}) == len(CASES)
    assert all(defect.does.endswith(".") for defect in DEFECTS.values())


@pytest.mark.parametrize(("prefer", "taken"), [(None, 75), (75, 75), (40, 35), ("smallest", 35)])
def test_of_two_phases_that_one_is_kept_which_the_choice_of_series_prefers(prefer, taken, tmp_path):
    write_defective(tmp_path / "dicom", [DEFECTS["two phases"]])
    rule = Rule(prefer=(("phase_percent", prefer),) if prefer else ())
    found = convert_scan(
        tmp_path / "dicom",
        tmp_path / "ct.nii.gz",
        series_uid=None,
        limits=LIMITS,
        key=b"test",
        rule=rule,
        repairs=ALL_REPAIRS,
    )
    assert found["phase_percent"] == found["repairs"][0]["phase_percent"] == taken
    assert found["repairs"][0]["of_percent"] == [35, 75]
