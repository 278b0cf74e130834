"""Where U-Net2's probability on its own voxels ends as a mask on the scan's."""

import numpy as np
import pytest
from calcohort import volume
from calcohort.outcomes import OK, write_record
from calcohort.root import place_segmented
from calcohort.volume import Grid, Volume

SCAN = Grid((90, 150, 150), np.diag([0.4, 0.4, 0.7, 1.0]))
CENTRE_MM = SCAN.world(np.array([45, 75, 75]))
RADIUS_MM = 14.0
CROP = (80, 100, 100)


def ball(grid, radius_mm=RADIUS_MM, centre_mm=CENTRE_MM):
    """Probability that falls from 1 to 0 within 2 mm at the surface of a ball."""
    world = grid.world(np.moveaxis(np.indices(grid.shape), 0, -1))
    away = np.linalg.norm(world - centre_mm, axis=-1) - radius_mm
    return np.clip(0.5 - away / 2, 0, 1)


def place(folder, spacing_mm, probability=ball):
    ct = Volume(np.zeros(SCAN.shape, np.int16), SCAN.affine)
    volume.write(folder / "ct.nii.gz", ct)
    seen = SCAN.respaced(spacing_mm) if spacing_mm else SCAN
    start = (np.round(seen.index(CENTRE_MM)).astype(int) - np.array(CROP) // 2).tolist()
    grid = seen.window(start, CROP)
    stored = np.rint(probability(grid) * 255).astype(np.uint8)
    volume.write(folder / "found.nii.gz", Volume(stored, grid.affine))
    box = [[10, n - 10] for n in CROP]
    record = {"scan_id": "a", "status": OK, "crop_start_kji": start, "box_in_crop_kji": box}
    write_record(folder / "crop.json", record)
    names = ("ct.nii.gz", "found.nii.gz", "crop.json", "mask.nii.gz", "sure.nii.gz")
    findings = place_segmented(
        *(folder / name for name in names),
        spacing_mm,
        min_volume_ml=3,
        max_volume_ml=90,
        min_fraction_in_box=0.9,
    )
    mask, sure = (volume.read(folder / name) for name in names[3:])
    assert mask.grid.same_as(SCAN) and sure.grid.same_as(SCAN)
    return mask.array != 0, sure.array / 255, findings


@pytest.mark.parametrize("spacing_mm", [None, (0.625, 0.488, 0.488), (0.8, 0.35, 0.35)])
def test_the_root_keeps_its_place_and_size_on_the_scans_voxels(tmp_path, spacing_mm):
    mask, sure, findings = place(tmp_path, spacing_mm)
    exact = ball(SCAN)
    assert np.abs(sure - exact).max() < 0.12  # linear between voxels
    assert (mask != (exact >= 0.5)).sum() < 0.01 * (exact >= 0.5).sum()
    assert findings["root_volume_mm3"] == pytest.approx(4 / 3 * np.pi * RADIUS_MM**3, rel=0.01)


def test_a_second_component_leaves_no_trace_in_the_mask(tmp_path):
    far_mm = CENTRE_MM + [0, 0, 20]

    def both(grid):
        return np.maximum(ball(grid, 9), ball(grid, 4, far_mm))

    mask, sure, _ = place(tmp_path, (0.625, 0.488, 0.488), both)
    at = tuple(np.round(SCAN.index(far_mm)).astype(int))
    assert sure[at] > 0.9 and not mask[at]
    assert mask.sum() * SCAN.voxel_volume_mm3 == pytest.approx(4 / 3 * np.pi * 9**3, rel=0.02)


def test_a_hole_in_the_probability_is_filled(tmp_path):
    def hollow(grid):
        return ball(grid) * (1 - ball(grid, 4))

    mask, sure, _ = place(tmp_path, (0.625, 0.488, 0.488), hollow)
    assert sure[45, 75, 75] < 0.1 and mask[45, 75, 75]
