"""Handing results back to enhanced CT, whose images are frames of one file."""

import shutil

import pydicom
import pytest
from calcohort.phantom.defects.files import (
    compressed_enhanced_ct,
    enhanced_ct,
    frames_in_no_order,
)
from handback_factory import hand_back, write_results, write_source
from handback_readers import near, points_of_nifti, points_of_seg
from highdicom.sr import srread


def write_enhanced(folder, parts=1, enhance=enhanced_ct):
    """The source as enhanced CT, of one file or several."""
    write_source(folder)
    paths = sorted(folder.iterdir())
    size = len(paths) // parts
    for part in range(parts):
        files = {path.name: path.read_bytes() for path in paths[part * size : (part + 1) * size]}
        enhance(files)
        (folder / f"enhanced-{part}.dcm").write_bytes(files["enhanced.dcm"])
    for path in paths:
        path.unlink()


@pytest.mark.parametrize("enhance", [enhanced_ct, compressed_enhanced_ct, frames_in_no_order])
def test_frames_of_an_enhanced_ct_get_their_masks(tmp_path, enhance):
    dicom, results, out = tmp_path / "dicom", tmp_path / "results", tmp_path / "out"
    write_enhanced(dicom, enhance=enhance)
    write_results(dicom, results)
    assert hand_back(dicom, results, out).outcome == "written"
    source = pydicom.dcmread(dicom / "enhanced-0.dcm")
    for kind in ("root", "calcium"):
        seg = out / f"seg_{kind}.dcm"
        assert near(points_of_nifti(results / f"{kind}_mask.nii.gz"), points_of_seg(seg))
        for groups in pydicom.dcmread(seg).PerFrameFunctionalGroupsSequence:
            named = groups.DerivationImageSequence[0].SourceImageSequence[0]
            assert named.ReferencedSOPInstanceUID == source.SOPInstanceUID
            frame = source.PerFrameFunctionalGroupsSequence[named.ReferencedFrameNumber - 1]
            places = [g.PlanePositionSequence[0].ImagePositionPatient for g in (groups, frame)]
            assert places[0] == places[1]
    report = srread(out / "sr.dcm")
    assert len(report.content.get_volumetric_roi_measurement_groups()) == 2
    assert source.SOPInstanceUID in str(report)


def test_an_enhanced_ct_that_has_become_several_files_is_refused(tmp_path):
    dicom, results, out = tmp_path / "dicom", tmp_path / "results", tmp_path / "out"
    write_enhanced(dicom)
    write_results(dicom, results)
    shutil.rmtree(dicom)
    write_enhanced(dicom, parts=2)
    done = hand_back(dicom, results, out)
    assert done.outcome == "refused"
    assert "several files of enhanced CT" in done.detail
