"""Every pixel of a series with its place and value, whatever its orientation and order."""

import json
import shutil

import numpy as np
import pytest
from dicom_conversion import EVEN, SLICES, assert_same_world, refusal, run
from dicom_factory import HOSPITAL, NAME, PATIENT, along_normal, stored_pixels, uid, write_series
from scipy.spatial.transform import Rotation


@pytest.fixture
def dicom(tmp_path):
    return tmp_path / "dicom"


@pytest.fixture
def ct(tmp_path):
    return tmp_path / "results" / "ct.nii.gz"


def oblique(*degrees):
    directions = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    return (*directions[:, 0], *directions[:, 1])


ORIENTATIONS = {
    "axial": (1, 0, 0, 0, 1, 0),
    "head down": (-1, 0, 0, 0, 1, 0),
    "prone": (-1, 0, 0, 0, -1, 0),
    "coronal": (1, 0, 0, 0, 0, -1),
    "sagittal": (0, 1, 0, 0, 0, -1),
    "oblique": oblique(20, 0, 0),
    "double oblique": oblique(20, -15, 35),
}


@pytest.mark.parametrize("iop", ORIENTATIONS.values(), ids=ORIENTATIONS.keys())
def test_every_pixel_keeps_its_place_and_value(dicom, ct, iop):
    paths = write_series(dicom, iop=iop, positions=along_normal(SLICES, 2.0, iop))
    findings = run(dicom, ct)
    assert_same_world(paths, ct)
    assert findings["tilt_degrees"] < 1e-4


def test_reversed_order_of_slices_gives_the_same_image(dicom, tmp_path, ct):
    pixels = stored_pixels(SLICES)
    write_series(dicom / "up", positions=EVEN, pixels=pixels)
    write_series(dicom / "down", positions=EVEN[::-1], pixels=pixels[::-1])
    run(dicom / "up", ct)
    run(dicom / "down", tmp_path / "down.nii.gz")
    assert ct.read_bytes() == (tmp_path / "down.nii.gz").read_bytes()


@pytest.mark.parametrize(
    ("low", "slope", "intercept"),
    [
        (0, 1, -1024),
        (-1024, 1, 0),
        (-3000, 1, 0),
        (0, 2, -2048),
        (0, 0.5, -1000.25),
        (0, 0.3, -800),
    ],
)
def test_stored_values_become_hounsfield(dicom, ct, low, slope, intercept):
    pixels = stored_pixels(SLICES) + low
    paths = write_series(
        dicom, positions=EVEN, pixels=pixels, RescaleSlope=slope, RescaleIntercept=intercept
    )
    findings = run(dicom, ct)
    assert_same_world(paths, ct, slope, intercept)
    assert findings["hu_min"] == round(pixels.min() * slope + intercept)


def test_rounded_positions_do_not_add_up_along_the_scan(dicom, ct):
    # 0.625 mm written with two decimals: the first two slices are 0.63 mm apart, and an affine
    # made from them would be 0.7 mm off at the end.
    positions = along_normal(140, 0.625)
    positions[:, 2] = positions[:, 2].round(2)
    paths = write_series(dicom, positions=positions)
    findings = run(dicom, ct)
    assert findings["slice_spacing_mm"] == pytest.approx(0.625, abs=1e-4)
    assert_same_world(paths, ct)


def test_a_tilt_within_the_limit_is_in_the_affine(dicom, ct):
    positions = EVEN.copy()
    positions[:, 1] += np.tan(np.radians(0.04)) * (EVEN[:, 2] - EVEN[0, 2])
    paths = write_series(dicom, positions=positions)
    run(dicom, ct)
    assert_same_world(paths, ct)


@pytest.mark.parametrize(
    "elements",
    [
        {"AcquisitionNumber": lambda k: k // 8},
        {"TriggerTime": lambda k: 500 + k},
        {"AcquisitionTime": lambda k: f"1200{k:02d}"},
        {"Exposure": lambda k: 100 + k, "XRayTubeCurrent": lambda k: 200 + k},
        {"InstanceNumber": lambda k: 1},
        {"InstanceNumber": lambda k: 1 + (k * 7) % SLICES},
        {"SeriesInstanceUID": None, "StudyInstanceUID": None},
        {"SeriesNumber": None, "Manufacturer": "SIEMENS"},
        {"GantryDetectorTilt": 15},
        {"Manufacturer": "GE MEDICAL SYSTEMS", "KVP": None},
    ],
    ids=lambda elements: "-".join(elements),
)
def test_one_series_stays_one_volume_whatever_changes_between_slices(dicom, ct, elements):
    paths = write_series(dicom, positions=EVEN, **elements)
    run(dicom, ct)
    assert_same_world(paths, ct)


def test_only_the_chosen_series_is_converted(dicom, ct):
    paths = write_series(dicom / "S1", "thin", positions=EVEN, SeriesNumber=5)
    write_series(dicom / "S2", "thick", positions=along_normal(SLICES, 2.5), SeriesNumber=1)
    write_series(dicom / "S3", "scout", positions=EVEN[:1], ImageType=r"ORIGINAL\PRIMARY\LOCALIZER")
    (dicom / "DIRFILE").write_text("not an image")
    findings = run(dicom, ct)
    assert_same_world(paths, ct)
    assert findings["ignored_files"] == 1
    assert [c["images"] for c in findings["candidates"]] == [SLICES, SLICES, 1]


def test_findings_of_a_series(dicom, ct):
    write_series(
        dicom,
        positions=EVEN,
        ContrastBolusAgent="Iomeron 400",
        NominalPercentageOfCardiacPhase=75.0,
        TriggerTime=600,
        SoftwareVersions="VB20A_SP4",
    )
    findings = run(dicom, ct)
    expected = {
        "source": "dicom",
        "modality": "CT",
        "manufacturer": "Maker",
        "model": "Scanner",
        "software": "VB20A_SP4",
        "kernel": "B26f",
        "kv": 120.0,
        "slice_thickness_mm": 3.0,
        "slice_spacing_mm": 2.0,
        "pixel_spacing_mm": [0.5, 0.75],
        "rows": 16,
        "columns": 20,
        "slices": 32,
        "coverage_mm": 64.0,
        "phase": "75 % of the R-R interval",
        "phase_percent": 75.0,
        "trigger_time_ms": 600.0,
        "contrast": True,
        "image_type": r"ORIGINAL\PRIMARY\AXIAL",
        "orientation": [1, 0, 0, 0, 1, 0],
        "transfer_syntax": "Explicit VR Little Endian",
        "lossy_compression": False,
        "why_chosen": "the only original axial CT series",
    }
    assert {key: findings[key] for key in expected} == expected
    hashes = [findings[f"{kind}_hash"] for kind in ("patient", "study", "series")]
    assert len({*hashes}) == 3
    assert all(len(value) == 64 for value in hashes)


def test_no_identifier_in_findings_or_sentences(dicom, ct, tmp_path):
    names = [f"{NAME}_{uid('a')}_{k}" for k in range(SLICES)]
    write_series(dicom, positions=EVEN, names=names)
    told = [json.dumps(run(dicom, ct))]
    shutil.rmtree(ct.parent)
    (dicom / names[3]).write_bytes((dicom / names[3]).read_bytes()[:-100])
    told.append(str(refusal(dicom, ct)))
    (dicom / names[4]).write_bytes(b"")
    told.append(str(refusal(dicom, ct)))
    for secret in (NAME, PATIENT, HOSPITAL, "2019", uid("a"), uid("study"), str(tmp_path)):
        assert not any(secret in text for text in told)


def test_same_input_gives_the_same_bytes(dicom, ct, tmp_path):
    write_series(dicom, positions=EVEN)
    first, second = run(dicom, ct), run(dicom, tmp_path / "second" / "ct.nii.gz")
    assert first == second
    assert ct.read_bytes() == (tmp_path / "second" / "ct.nii.gz").read_bytes()
