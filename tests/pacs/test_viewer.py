"""SEG and SR in a viewer that hospitals use: OHIF in Chromium, before the archive's DICOMweb."""

import numpy as np
import pytest
from calcohort import volume
from calcohort.calcium import measure_scan
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.handback.scan import hand_back_scan, objects_in
from calcohort.measure import MeasureSettings
from calcohort.outcomes import run_stage
from calcohort.phantom.series import write_series
from calcohort.root import place_given
from cohort_of_boxes import AFFINE, write_mask, write_scan
from scipy.spatial.transform import Rotation

pytestmark = pytest.mark.slow
TURNED = np.eye(4)
TURNED[:3, :3] = Rotation.from_euler("xyz", (20, 10, -15), degrees=True).as_matrix()
SCANS = {"upright": AFFINE, "turned": TURNED @ AFFINE}
KEY = b"key of the test"
LUMEN_HU = 500


def make_objects(folder, name, affine):
    """A box of blood with a deposit: paths of its DICOM, and of its SEG and SR."""
    dicom, results, mask = folder / "dicom", folder / "results", folder / "mask.nii.gz"
    write_scan(folder / "box.nii.gz", LUMEN_HU, "large")
    box = volume.read(folder / "box.nii.gz").array
    paths = write_series(dicom, volume.Volume(box, affine), patient_id=name, seed=1)
    write_mask(mask, affine)
    names = ("ct.nii.gz", "root_mask.nii.gz", "root_probability.nii.gz")
    ct, root, sure = (results / name for name in names)
    convert = {"series_uid": None, "limits": Limits(min_coverage_mm=30), "key": KEY}
    for stage, work, record in (
        ("convert", lambda: convert_scan(dicom, ct, **convert), "series.json"),
        ("root", lambda: place_given(ct, mask, root, sure), "root.json"),
        ("measure", lambda: measure_scan(results, MeasureSettings(), None), "calcium.json"),
    ):
        run_stage(stage, "s1", work, results / record)
    done = hand_back_scan("s1", results, dicom, folder, key=KEY, max_archive_bytes=1e9)
    assert done.outcome == "written", done.detail
    return [*paths, *objects_in(folder)]
