"""SEG and SR in a viewer that hospitals use: OHIF in Chromium, before the archive's DICOMweb."""

import numpy as np
import pydicom
import pytest
from calcohort import volume
from calcohort.calcium import measure_scan
from calcohort.dicom.convert import Limits, convert_scan
from calcohort.handback.scan import hand_back_scan, objects_in
from calcohort.measure import MeasureSettings
from calcohort.node.settings import open_node
from calcohort.outcomes import run_stage
from calcohort.phantom.series import write_series
from calcohort.root import place_given
from cohort_of_boxes import AFFINE, VOXEL_MM3, write_mask, write_scan
from ohif import Unavailable, Viewer, fetch, served
from orthanc import PASSWORD, USER
from scipy.spatial.transform import Rotation

pytestmark = pytest.mark.slow
TURNED = np.eye(4)
TURNED[:3, :3] = Rotation.from_euler("xyz", (20, 10, -15), degrees=True).as_matrix()
SCANS = {"upright": AFFINE, "turned": TURNED @ AFFINE}
KEY = b"key of the test"
LUMEN_HU = 500
LOWEST_HU, WIDTH_HU = -300, 1200
"""The window that the images themselves ask for."""


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


@pytest.fixture(scope="module")
def studies(orthanc, tmp_path_factory):
    """Scans in the archive with what was handed back; name to StudyInstanceUID."""
    node, uids = open_node(orthanc.dimse()), {}
    for name, affine in SCANS.items():
        paths = make_objects(tmp_path_factory.mktemp(name), name, affine)
        assert len(list(node.store(paths))) == len(paths)
        uids[name] = pydicom.dcmread(paths[0]).StudyInstanceUID
    return uids


@pytest.fixture(scope="module")
def address(orthanc, tmp_path_factory):
    """Where the viewer is served."""
    try:
        build = fetch(tmp_path_factory.mktemp("ohif"))
    except Unavailable as reason:
        pytest.skip(str(reason))
    with served(build, orthanc.url, (USER, PASSWORD)) as place:
        yield place


@pytest.fixture
def viewer(browser):
    context = browser.new_context(viewport={"width": 1100, "height": 750})
    yield Viewer(context.new_page())
    context.close()


def overlap(one, other):
    """Jaccard index of two masks."""
    return (one & other).sum() / (one | other).sum()


def drawn(shown, hidden):
    """Pixels that a segment colours."""
    return np.abs(shown - hidden).max(axis=-1) > 8


@pytest.mark.parametrize("name", SCANS)
def test_masks_lie_on_blood_and_calcium_and_are_measured_right(viewer, address, studies, name):
    """The box of blood and the deposit are the only places brighter than tissue and than blood."""
    viewer.open(address, studies[name])
    for number, label, brighter_than_hu, voxels in (
        (9802, "Calcium of the aortic root", (LUMEN_HU + 1200) / 2, 10 * 12 * 6),
        (9801, "Aortic root", (40 + LUMEN_HU) / 2, 40**3),
    ):
        viewer.load_segmentation(number, label)
        shown = viewer.picture()
        told = viewer.statistics(label)
        viewer.toggle(label)
        hidden = viewer.picture()
        grey = 255 * (brighter_than_hu - LOWEST_HU) / WIDTH_HU
        assert overlap(drawn(shown, hidden), hidden.max(axis=-1) > grey) > 0.9
        assert told["Voxel Count"] == str(voxels)
        assert float(told["Volume"].split()[0]) == pytest.approx(voxels * VOXEL_MM3, rel=0.005)
        lowest_hu = 1200 if number == 9802 else LUMEN_HU
        assert (told["Min Value"], told["Max Value"]) == (f"{lowest_hu} HU", "1200 HU")
    assert sorted(viewer.series()) == ["CT", "SEG", "SEG", "SR"]
