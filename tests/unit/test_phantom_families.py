"""Wide and second phantoms: exact labels, sameness, noise that averages as it must."""

import dataclasses
import functools

import numpy as np
import pytest
from calcohort.phantom.calcium import BEYOND_MM, Deposit
from calcohort.phantom.families import FAMILIES
from calcohort.phantom.fields import points_of
from calcohort.phantom.render_wide import root_box
from calcohort.phantom.root import Leaflets
from calcohort.phantom.scanner import Scanner
from calcohort.phantom.shapes import sphere
from calcohort.phantom.warp import draw_warp, warped
from calcohort.phantom.wide import draw_wide
from calcohort.volume import Grid, Volume, downscale
from scipy.ndimage import label, map_coordinates

NEW = ("wide", "second")
SEEDS = (1, 2)
QUIET = Scanner(
    spacing_mm=(0.5, 0.5, 0.5), thickness_mm=0.5, blur_mm=0.4, sharpening=0.0, motion_mm=0.0,
    motion_axis=1, noise_hu=30.0, grain_mm=0.5, streak_hu=50.0, hardening_hu=0.0, round_field=False,
)  # fmt: skip


@functools.cache
def patient(family, seed):
    return FAMILIES[family].draw(seed)


@functools.cache
def around_the_root(family, seed, spacing_mm=0.7):
    """A patient's grid around the root, and what is rendered there without noise."""
    low, high = FAMILIES[family].root_box(patient(family, seed)) + np.array([[-3.0], [3.0]])
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low)[::-1] / spacing_mm)), affine)
    return grid, FAMILIES[family].render(patient(family, seed), grid, noise=False)


def test_the_template_family_is_frozen():
    """Seeds 1 and 3001 as they were since the arch begins above the junction."""
    counts = []
    for seed in (1, 3001):
        family = FAMILIES["template"]
        grid = family.scan_grid(patient("template", seed)).downscaled((4, 8, 8))
        phantom = family.render(patient("template", seed), grid)
        counts += [int(phantom.root.sum()), int(phantom.hu.sum(dtype=np.int64))]
    assert counts == [381, -90624681, 350, -98939629]


@pytest.mark.parametrize("family", NEW)
@pytest.mark.parametrize("seed", SEEDS)
def test_the_root_is_one_piece_but_for_specks_inside_its_box_and_the_scan(family, seed):
    grid, phantom = around_the_root(family, seed)
    pieces, _ = label(phantom.root)
    apart = phantom.root & (pieces != np.bincount(pieces[phantom.root]).argmax())
    assert apart.sum() < 1e-4 * phantom.root.sum(), "no more than specks of calcium in the wall"
    assert phantom.calcium[apart].all()
    low, high = FAMILIES[family].root_box(patient(family, seed))
    points = grid.world(np.argwhere(phantom.root))
    assert (points >= low - 1.5).all() and (points <= high + 1.5).all()
    scan = FAMILIES[family].scan_grid(patient(family, seed))
    index = scan.index(points)
    assert (index > 0).all() and (index < np.array(scan.shape) - 1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_a_wide_root_is_the_undeformed_root_carried_along(seed):
    """Every labelled voxel comes from between the planes and the wall, whatever the deformation."""
    grid, phantom = around_the_root("wide", seed)
    who = patient("wide", seed)
    source = who.warp.source(grid.world(np.argwhere(phantom.root & ~phantom.calcium)))
    r, phi, w = who.root.polar(*source.T.astype(np.float32))
    assert w.min() > -0.7 and w.max() < who.root.height_mm + 0.7
    assert np.percentile(r - who.root.radius(phi, w), 99.5) < 0.7


def sinus_profile(root):
    """Shares of the height, and how far a sinus's middle reaches beyond the commissures (mm)."""
    round_root = dataclasses.replace(root, ellipticity=0.0, commissure=0.0)
    w = np.linspace(0, root.height_mm, 101, dtype=np.float32)
    middle = np.float32(round_root.first_sinus_rad)
    edge = np.float32(middle + root.sector_rad)
    return w / root.height_mm, round_root.radius(middle, w) - round_root.radius(edge, w)


def test_wide_sinuses_end_at_both_planes_and_are_widest_in_many_places():
    peaks, shoulders = [], []
    for seed in range(50, 80):
        root = patient("wide", seed).root
        share, bulge = sinus_profile(root)
        np.testing.assert_allclose(bulge[[0, -1]], 0, atol=0.02 * root.bulge_mm)
        np.testing.assert_allclose(bulge.max(), root.bulge_mm, rtol=0.02)
        peaks.append(share[bulge.argmax()])
        shoulders.append(np.mean(bulge > root.bulge_mm / 2))
    assert min(peaks) < 0.36 and max(peaks) > 0.54
    assert min(shoulders) < 0.6 and max(shoulders) > 0.8


def test_the_wide_aorta_reaches_its_width_close_to_the_junction_or_far_above():
    flares = [patient("wide", seed).root.tubular_mm for seed in range(50, 80)]
    assert min(flares) < 5 and max(flares) > 15
    who = patient("wide", 50 + int(np.argmax(flares)))
    root = who.root
    w, phi = np.meshgrid(root.height_mm + np.linspace(0, 26, 14), np.linspace(0, 2 * np.pi, 24))
    radius = np.asarray(root.radius(phi.astype(np.float32), w.astype(np.float32)))
    share = (radius.mean(axis=0) - root.junction_radius_mm) / (
        root.tubular_radius_mm - root.junction_radius_mm
    )
    assert share[4] < 0.7 and share[-2:] == pytest.approx(1, abs=0.05)
    points = who.warp.target(root.world(0.8 * radius, phi, w)).reshape(-1, 3)
    affine = np.diag([0.8, 0.8, 0.8, 1])
    affine[:3, 3] = points.min(axis=0) - 3
    grid = Grid(tuple(int(n) for n in np.ceil((np.ptp(points, axis=0) + 6) / 0.8))[::-1], affine)
    hu = FAMILIES["wide"].render(who, grid, noise=False).hu.astype(np.float32)
    blood = map_coordinates(hu, grid.index(points).T, order=1) > 0.8 * who.lumen_hu
    assert blood.mean() > 0.98, "no wall where the root's lumen ends and the arch begins"


@pytest.mark.parametrize("seed", SEEDS)
def test_no_wall_stands_in_the_blood_of_the_second_familys_aorta(seed):
    who = patient("second", seed)
    box, _ = around_the_root("second", seed)
    affine = box.affine.copy()
    affine[:3, 3] -= 15
    grid = Grid(tuple(n + 43 for n in box.shape), affine)
    hu = FAMILIES["second"].render(who, grid, noise=False).hu
    above = who.root.coordinates(*points_of(grid))[0] > who.root.height_mm + 2
    blood = above & (who.organs["ascending"](grid) < -1.5)
    assert blood.sum() * grid.voxel_volume_mm3 > 3000
    dark = hu[blood] < 0.85 * who.lumen_hu
    assert dark.mean() < 0.01, "more than a coronary's wall"


@pytest.mark.parametrize("seed", (402, 407))
def test_no_blood_of_a_wide_aorta_lies_beside_the_roots_lumen(seed):
    """About the junction the lumen narrows to the root's own, whatever the aorta's width above."""
    who = patient("wide", seed)
    assert who.root.tubular_radius_mm > 1.25 * who.root.junction_radius_mm
    directions, heights = np.linspace(-np.pi, np.pi, 36, endpoint=False), np.arange(-4, 7, 2)
    phi, w = np.meshgrid(directions, who.root.height_mm + heights)
    beside = who.root.radius(phi.astype(np.float32), w.astype(np.float32)) + 3
    points = who.warp.target(who.root.world(beside, phi, w)).reshape(-1, 3)
    affine = np.diag([0.8, 0.8, 0.8, 1])
    affine[:3, 3] = points.min(axis=0) - 3
    grid = Grid(tuple(int(n) for n in np.ceil(np.ptp(points, axis=0) + 6) / 0.8)[::-1], affine)
    hu = FAMILIES["wide"].render(who, grid, noise=False).hu
    seen = map_coordinates(hu.astype(np.float32), grid.index(points).T, order=1)
    as_bright = np.abs(seen / who.lumen_hu - 1) < 0.15
    assert as_bright.mean() < 0.2, "more than the left atrium at one side"


@pytest.mark.parametrize("seed", (1, 2, 3, 4, 5))
def test_the_second_familys_root_reaches_from_the_hinges_to_the_narrowing(seed):
    """What annulus and sinotubular junction mean: else nothing in the image shows the ends."""
    root = patient("second", seed).root
    s, phi = np.meshgrid(np.linspace(0.5, 2, 151) * root.height_mm, np.linspace(0, 2 * np.pi, 36))
    area_mm2 = np.square(root.radius(s, phi)).mean(axis=0)
    assert s[0, area_mm2.argmin()] == pytest.approx(root.height_mm, abs=1)
    for sinus in range(3):
        phi = np.full(200, root.turn_rad + sinus * 2 * np.pi / 3)
        s = np.linspace(-3, root.height_mm, 200)
        wall = root.world(s, phi, 0.99 * root.radius(s, phi))
        in_cusp = root.cusps(*wall.T, 1.0) < 0
        assert s[in_cusp].min() == pytest.approx(0, abs=0.5)


def highest_leaflet_at_the_wall(family, who):
    """Share of the root's height up to which a leaflet hangs at the wall, at a commissure."""
    root = who.root
    cusps = 3 if family == "second" else root.cusps
    first = root.turn_rad if family == "second" else root.first_sinus_rad
    w, share = np.meshgrid(
        np.linspace(0, root.height_mm + 3, 300, dtype=np.float32), np.linspace(0.96, 1.0, 9)
    )
    phi = np.full_like(w, first + np.pi / cusps)
    if family == "second":
        wall = np.moveaxis(root.world(w, phi, share * root.radius(w, phi)), -1, 0)
        there = root.cusps(*wall, 1.0) < 0
    else:
        leaflets = next(layer.shape for layer in who.layers if isinstance(layer.shape, Leaflets))
        wall = np.moveaxis(root.world(share * root.radius(phi, w), phi, w), -1, 0)
        there = leaflets.distance(*wall) < 0
    return w[there].max() / root.height_mm


@pytest.mark.parametrize("family", NEW)
def test_the_commissures_reach_the_junction(family):
    """The leaflets hang in a crown from the annulus to the junction, in people and phantoms."""
    tops = [highest_leaflet_at_the_wall(family, patient(family, seed)) for seed in range(50, 70)]
    assert 0.9 < min(tops) and max(tops) < 1.1


@pytest.mark.parametrize("family", NEW)
@pytest.mark.parametrize("seed", SEEDS)
def test_calcium_sums_to_its_physical_volume(family, seed):
    grid, phantom = around_the_root(family, seed)
    rendered = phantom.calcium_fraction.sum(dtype=float) * grid.voxel_volume_mm3
    physical = FAMILIES[family].physical_calcium_mm3(patient(family, seed))
    assert rendered == pytest.approx(physical, rel=0.05, abs=2)


@pytest.mark.parametrize("end", ["annulus", "junction"])
def test_wide_calcium_goes_on_beyond_the_roots_ends_and_counts_only_in_it(end):
    who, radius_mm = patient("wide", 1), 4.0
    height = who.root.height_mm if end == "junction" else 0.0
    ball = Deposit(sphere(who.root.world(0.0, 0.0, height), radius_mm), 3000.0, end)
    who = dataclasses.replace(who, deposits=(ball,))
    away = -1 if end == "annulus" else 1
    heights = height + away * np.array([-2.0, 2.0])
    inside, beyond = who.warp.target(who.root.world(0.0, 0.0, heights))
    affine = np.diag([0.6] * 3 + [1.0])
    affine[:3, 3] = np.minimum(inside, beyond) - 6
    grid = Grid((30, 30, 30), affine)
    phantom = FAMILIES["wide"].render(who, grid, noise=False)
    places = [tuple(np.rint(grid.index(place)).astype(int)) for place in (inside, beyond)]
    assert all(phantom.hu[place] > 2000 for place in places), "one deposit, on both sides"
    assert [phantom.calcium[place] for place in places] == [True, False]
    half_mm3 = 2 / 3 * np.pi * radius_mm**3
    assert FAMILIES["wide"].physical_calcium_mm3(who) == pytest.approx(half_mm3, rel=0.2)


def test_some_wide_patients_have_calcium_beyond_the_root_and_most_have_none():
    sites = [{deposit.site for deposit in patient("wide", seed).deposits} for seed in range(50, 80)]
    assert {site for found in sites for site in found} >= set(BEYOND_MM)
    assert 4 <= sum(bool(found & set(BEYOND_MM)) for found in sites) <= 18


@pytest.mark.parametrize("family", NEW)
def test_a_seed_is_one_scan(family):
    grid, phantom = around_the_root(family, 1)
    again = FAMILIES[family].render(FAMILIES[family].draw(1), grid, noise=False)
    assert np.array_equal(phantom.hu, again.hu) and np.array_equal(phantom.root, again.root)
    other = FAMILIES[family].draw(2)
    assert other.lumen_hu != patient(family, 1).lumen_hu


def test_blood_of_the_root_has_the_drawn_luminance():
    for family in NEW:
        who = patient(family, 2)
        _, phantom = around_the_root(family, 2)
        assert np.median(phantom.hu[phantom.root]) == pytest.approx(who.lumen_hu, rel=0.12)


def test_fields_of_view_span_those_of_real_scans():
    scans = [draw_wide(seed).scan for seed in range(100, 112)]
    fields = [scan.shape[1] * scan.spacing_mm[1] for scan in scans]
    assert min(fields) < 220 and max(fields) > 330
    assert all(0.399 <= scan.spacing_mm[1] <= 1.001 for scan in scans)
    distances = [scan.spacing_mm[0] for scan in scans]
    assert min(distances) <= 0.6 and max(distances) >= 1.5


def test_thick_slices_are_interpolated_to_the_wanted_grid():
    who = dataclasses.replace(patient("wide", 22), scanner=QUIET)
    assert who.scan.spacing_mm[0] == 2.5
    low, high = root_box(who)
    affine = np.diag([1.0, 1.0, 0.5, 1.0])
    affine[:3, 3] = low
    grid = Grid(tuple(int(n) for n in np.ceil((high - low)[::-1] / [0.5, 1, 1])), affine)
    hu = FAMILIES["wide"].render(who, grid, noise=False).hu.astype(float)
    bends = np.abs(hu[2:] - 2 * hu[1:-1] + hu[:-2]).mean(axis=(1, 2))
    assert np.median(bends) < 1.0 < bends.max()


def test_a_deformation_is_undone_by_its_inverse():
    warp = draw_warp(np.random.default_rng(3), np.array([5.0, -8, 12]), 0.07, {90.0: 6, 40.0: 3})
    points = np.random.default_rng(4).uniform(-120, 120, (50, 3))
    assert np.abs(warp.source(points) - points).max() > 4
    assert np.abs(warp.source(warp.target(points)) - points).max() < 0.01


def test_sources_of_a_grid_are_those_of_its_points():
    warp = draw_warp(np.random.default_rng(3), np.zeros(3), 0.05, {40.0: 3.0})
    grid = Grid((20, 22, 24), np.diag([1.1, 0.9, 1.3, 1.0]))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    exact = np.moveaxis(warp.source(grid.world(index)), -1, 0)
    assert np.abs(warp.sources(grid) - exact).max() < 0.15


def test_an_image_is_carried_by_a_shift():
    warp = draw_warp(np.random.default_rng(3), np.zeros(3), 0.0, {})
    grid = Grid((6, 7, 8), np.diag([2.0, 2.0, 2.0, 1.0]))
    image = np.random.default_rng(0).normal(size=grid.shape).astype(np.float32)
    moved = warped(image, grid, warp.sources(grid.window((1, 0, 2), (4, 7, 5))), outside=-1)
    assert moved == pytest.approx(image[1:5, :, 2:7], abs=1e-5)


def test_a_grid_of_blocks_has_the_noise_that_blocks_of_the_scan_have():
    scan = Grid((64, 96, 96), np.diag([0.5, 0.5, 0.5, 1.0]))

    def exposed(grid):
        return QUIET.expose(np.full(grid.shape, 100, np.float32), grid, scan, seed=5, noise=True)

    native = exposed(scan)
    assert native.std() == pytest.approx(30, rel=0.02)
    blocks = downscale(Volume(native, scan.affine), (2, 2, 2)).array
    direct = exposed(scan.downscaled((2, 2, 2)))
    assert direct.std() == pytest.approx(blocks.std(), rel=0.1)
    assert direct.std() < 0.9 * native.std()


def test_metal_throws_streaks_and_quiet_tissue_has_none():
    scan = Grid((4, 80, 80), np.diag([0.5, 0.5, 0.5, 1.0]))
    tissue = np.full(scan.shape, 50, np.float32)
    with_metal = tissue.copy()
    with_metal[2, 38:42, 38:42] = 6000
    plain, streaked = (QUIET.expose(hu, scan, scan, 5, noise=False) for hu in (tissue, with_metal))
    assert np.ptp(plain) == 0
    assert streaked[2, :, :20].std() > 5 > streaked[0, :, :20].std()
