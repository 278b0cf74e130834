"""A stage whose numbers change gets a new version, so that its results are done again."""

import numpy as np
import pytest
from calcohort import volume
from calcohort.confidence import add_intervals
from calcohort.localise import find_box
from calcohort.measure import MeasureSettings, measure_calcium
from calcohort.normalise import lower_calcium, normalise
from calcohort.segment import find_root
from calcohort.versions import STAGE_VERSIONS

AFFINE = np.diag([0.5, 0.5, 0.625, 1.0])
SHAPE = (64, 80, 80)
BOX = (slice(12, 52), slice(20, 60), slice(20, 60))


def scan():
    rng = np.random.default_rng(7)
    hu = rng.normal(40, 25, SHAPE)
    hu[BOX] = rng.normal(560, 25, (40, 40, 40))
    hu[14:20, 24:34, 24:32] = 1150
    return volume.Volume(hu.astype(np.int16), AFFINE)


def found_probability(grid):
    index = np.indices(grid.shape).transpose(1, 2, 3, 0)
    distance = np.linalg.norm((index - np.array(grid.shape) / 2) * grid.spacing_mm, axis=-1)
    return (1 / (1 + np.exp(distance - 11))).astype(np.float32)


def measure():
    root = np.zeros(SHAPE, bool)
    root[BOX] = True
    settings = MeasureSettings()
    findings, _ = measure_calcium(scan(), root, settings=settings)
    probability = np.where(root, 1, found_probability(volume.Grid(SHAPE, AFFINE)))
    add_intervals(scan(), root, probability, findings, settings)
    figures = "calcium_volume_mm3", "volume_low_mm3", "volume_high_mm3", "noise_volume_mm3"
    return [findings["luminance_hu"], *(r[figure] for r in findings["rules"] for figure in figures)]


def downscale():
    small = volume.downscale(volume.respace(scan(), (0.9, 0.6, 0.6)))
    return [float(small.array.mean(dtype=float)), *small.affine[:3, 3]]


def localise():
    grid = volume.Grid(SHAPE, AFFINE)
    half = grid.downscaled((1, 2, 2))
    box = find_box(found_probability(half), half, grid)
    return [*box["box_start_kji"], *box["box_stop_kji"]]


def segment():
    return [
        float(normalise(scan().array).mean(dtype=float)),
        float(lower_calcium(scan().array, BOX).mean(dtype=float)),
    ]


def root():
    grid = volume.Grid(SHAPE, AFFINE)
    mask = find_root(found_probability(grid), grid.spacing_mm, BOX, (slice(None),) * 3)
    return [int(mask.sum())]


GOLDEN = {
    measure: (
        8,
        [
            559.658026,
            *(620.9375, 0.0, 721.557568, 547.321945),
            *(75.0, 71.759036, 78.240835, 0.0),
            *(75.0, 73.998022, 76.001978, 0.0),
            *(5062.03125, 0.0, 5205.405853, 5000.0),
            *(75.0, 71.705367, 78.294491, 0.0),
            *(75.0, 73.999976, 76.000024, 0.0),
            *(77.1875, 47.323712, 104.673822, 2.377),
        ],
    ),
    downscale: (2, [123.736523, 0.35, 0.35, 0.1375]),
    localise: (3, [8, 10, 10, 57, 72, 72]),
    segment: (1, [0.185749, 120.807312]),
    root: (4, [35639]),
}


@pytest.mark.parametrize("stage", GOLDEN, ids=lambda stage: stage.__name__)
def test_numbers_change_only_with_the_version(stage):
    version, numbers = GOLDEN[stage]
    assert STAGE_VERSIONS[stage.__name__] == version, "write the new version's numbers here"
    assert stage() == pytest.approx(numbers, rel=1e-5), "raise the stage's version"
