"""The phantom's renderer: truth, geometry and sameness."""

import dataclasses
import functools

import numpy as np
import pytest
from calcohort.phantom.anatomy import draw_anatomy
from calcohort.phantom.calcium import Deposit
from calcohort.phantom.render import physical_calcium_mm3, render, root_box, scan_grid
from calcohort.phantom.shapes import sphere
from calcohort.volume import Grid, Volume, downscale
from scipy.ndimage import label, map_coordinates

SEEDS = (1, 2, 3, 4, 5, 6)
WITHOUT_CALCIUM = 19


@functools.cache
def patient(seed):
    return draw_anatomy(seed)


def box_grid(anatomy, spacing_mm=0.6, margin_mm=3.0):
    low, high = root_box(anatomy) + np.array([[-margin_mm], [margin_mm]])
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low
    return Grid(tuple(int(n) for n in np.ceil((high - low) / spacing_mm))[::-1], affine)


@functools.cache
def root_scan(seed):
    anatomy = patient(seed)
    grid = box_grid(anatomy)
    return anatomy, grid, render(anatomy, grid, noise=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_root_is_one_piece_of_plausible_size(seed):
    _, grid, phantom = root_scan(seed)
    assert label(phantom.root)[1] == 1
    assert 6 < phantom.root.sum() * grid.voxel_volume_mm3 / 1000 < 35


@pytest.mark.parametrize("seed", SEEDS)
def test_root_lies_between_its_planes_and_within_a_millimetre_of_wall(seed):
    anatomy, grid, phantom = root_scan(seed)
    points = grid.world(np.argwhere(phantom.root))
    r, phi, w = anatomy.root.polar(*points.T.astype(np.float32))
    assert -0.4 < w.min() < 0.4
    assert abs(w.max() - anatomy.root.height_mm) < 0.4
    assert (r - anatomy.root.radius(phi, w)).max() < 1.0 + 0.6


@pytest.mark.parametrize("seed", SEEDS)
def test_calcium_is_dense_inside_the_root_and_sums_to_its_physical_volume(seed):
    anatomy, grid, phantom = root_scan(seed)
    assert not (phantom.calcium & ~phantom.root).any()
    rendered = phantom.calcium_fraction.sum(dtype=float) * grid.voxel_volume_mm3
    assert rendered == pytest.approx(physical_calcium_mm3(anatomy), rel=0.02)
    pure = phantom.calcium_fraction > 0.999
    if pure.sum() > 20:
        assert np.median(phantom.hu[pure]) > anatomy.lumen_hu + 150


def test_seed_without_calcium_has_none():
    anatomy, _, phantom = root_scan(WITHOUT_CALCIUM)
    assert physical_calcium_mm3(anatomy) == 0
    assert not phantom.calcium.any()
    assert phantom.calcium_fraction.max() == 0


@pytest.mark.parametrize("radius_mm", [0.8, 2.5])
def test_physical_volume_of_a_sphere(radius_mm):
    anatomy = patient(1)
    root = anatomy.root
    middle = root.origin_mm + root.axes[2] * root.height_mm / 2
    ball = Deposit(sphere(middle, radius_mm), 1200.0, "leaflet")
    anatomy = dataclasses.replace(anatomy, deposits=(ball, ball))
    assert physical_calcium_mm3(anatomy) == pytest.approx(4 / 3 * np.pi * radius_mm**3, rel=0.01)


def test_deposit_is_cut_at_the_annulus_plane():
    anatomy = patient(1)
    ball = Deposit(sphere(anatomy.root.origin_mm, 3.0), 1200.0, "annulus")
    anatomy = dataclasses.replace(anatomy, deposits=(ball,))
    assert physical_calcium_mm3(anatomy) == pytest.approx(2 / 3 * np.pi * 27, rel=0.01)


def test_same_seed_gives_the_same_bytes():
    grid = box_grid(patient(3), 0.8)
    first, second = (render(draw_anatomy(3), grid) for _ in range(2))
    assert first.hu.tobytes() == second.hu.tobytes()
    assert first.root.tobytes() == second.root.tobytes()
    assert first.calcium_fraction.tobytes() == second.calcium_fraction.tobytes()


def test_window_equals_the_window_of_the_whole():
    anatomy = patient(4)
    whole = scan_grid(anatomy).downscaled((2, 4, 4))
    start, shape = (37, 29, 31), (50, 60, 55)
    part = render(anatomy, whole.window(start, shape), noise=False)
    full = render(anatomy, whole, noise=False)
    window = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    assert np.abs(part.hu.astype(int) - full.hu[window]).max() <= 1
    assert np.array_equal(part.root, full.root[window])
    assert np.allclose(part.calcium_fraction, full.calcium_fraction[window], atol=1e-3)


def test_oblique_grid_shows_the_same_world():
    anatomy, straight, phantom = root_scan(5)
    turn = np.array([[0.9362934, -0.2896295, 0.1986693], [0.3129918, 0.9447025, -0.0978434],
                     [-0.1593451, 0.1537920, 0.9751703]])  # fmt: skip
    affine = straight.affine.copy()
    affine[:3, :3] = turn @ affine[:3, :3]
    middle = straight.world((np.array(straight.shape) - 1) / 2)
    ijk = (np.array(straight.shape[::-1]) - 1) / 2
    affine[:3, 3] = middle - affine[:3, :3] @ ijk
    oblique = Grid(straight.shape, affine)
    turned = render(anatomy, oblique, noise=False)
    points = straight.world(
        np.argwhere(np.ones((20, 20, 20), bool)) + np.array(straight.shape) // 2 - 10
    )
    values = [
        map_coordinates(p.hu.astype(np.float32), g.index(points).T, order=1)
        for p, g in ((phantom, straight), (turned, oblique))
    ]
    assert np.percentile(np.abs(values[0] - values[1]), 95) < 25
    assert abs(values[0].mean() - values[1].mean()) < 3
    assert turned.root.sum() == pytest.approx(phantom.root.sum(), rel=0.01)


def test_downscaled_grid_shows_the_block_means():
    anatomy = patient(6)
    grid = box_grid(anatomy, 0.5, 0.0)
    fine = render(anatomy, grid, noise=False)
    means = downscale(Volume(fine.hu, grid.affine))
    coarse = render(anatomy, means.grid, noise=False)
    assert np.percentile(np.abs(coarse.hu - means.array), 90) < 25
    assert abs(coarse.hu.mean() - means.array.mean()) < 3


def test_noise_has_the_patients_sd():
    anatomy = patient(1)
    middle = anatomy.root.origin_mm + anatomy.root.axes[2] * 10
    affine = np.diag([0.488, 0.488, 0.625, 1.0])
    affine[:3, 3] = middle - 10
    grid = Grid((32, 40, 40), affine)
    noisy, clean = render(anatomy, grid).hu, render(anatomy, grid, noise=False).hu
    noise = noisy.astype(float) - clean
    assert noise.std() == pytest.approx(anatomy.noise_hu, rel=0.08)
    assert abs(noise.mean()) < 0.15 * anatomy.noise_hu
    neighbour = np.corrcoef(noise[:, :, 1:].ravel(), noise[:, :, :-1].ravel())[0, 1]
    assert 0.2 < neighbour < 0.9


@pytest.mark.parametrize("seed", SEEDS)
def test_blood_above_the_leaflets_has_the_lumens_enhancement(seed):
    anatomy, grid, phantom = root_scan(seed)
    points = grid.world(np.argwhere(phantom.root))
    r, _, w = anatomy.root.polar(*points.T.astype(np.float32))
    core = (r < 5) & (np.abs(w - 0.8 * anatomy.root.height_mm) < 3)
    clear = phantom.calcium_fraction[phantom.root] == 0
    assert np.median(phantom.hu[phantom.root][core & clear]) == pytest.approx(
        anatomy.lumen_hu, rel=0.12
    )


def test_without_contrast_all_blood_is_dark():
    anatomy = draw_anatomy(WITHOUT_CALCIUM, contrast=False)
    assert not anatomy.contrast
    phantom = render(anatomy, box_grid(anatomy, 0.8), noise=False)
    assert phantom.hu[phantom.root].max() < 80
    assert phantom.hu.max() < 90


def test_scan_grid_is_a_cardiac_scan_around_the_root():
    for seed in SEEDS:
        anatomy = patient(seed)
        grid = scan_grid(anatomy)
        assert grid.shape == (256, 512, 512)
        assert 0.40 <= grid.spacing_mm[1] == grid.spacing_mm[2] <= 0.55
        assert grid.spacing_mm[0] == pytest.approx(0.625)
        for corner in root_box(anatomy):
            assert (grid.index(corner) > 20).all()
            assert (grid.index(corner) < np.array(grid.shape) - 20).all()
