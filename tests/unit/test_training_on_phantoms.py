import csv
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
from calcohort.networks import data
from calcohort.networks.data import Case, make_store
from calcohort.networks.plan import Plan
from calcohort.networks.train import train
from calcohort.outcomes import UserError
from calcohort.volume import Grid


def test_reserved_seeds_are_refused(tmp_path):
    with pytest.raises(UserError, match="seed 99999 is reserved"):
        list(
            make_store(
                tmp_path, "unet2", (2, 2, 2), [Case("wide", 1_000_000), Case("wide", 99_999)]
            )
        )


@pytest.fixture
def store(tmp_path):
    for seed in (1, 2, 3):
        rng = np.random.default_rng(seed)
        label = np.zeros((16, 16, 16), np.uint8)
        label[4:12, 5:13, 3:12] = 1
        image = 0.3 + 0.4 * label + rng.normal(0, 0.05, label.shape)
        folder = tmp_path / "store" / "unet2"
        folder.mkdir(parents=True, exist_ok=True)
        np.save(folder / f"{seed}_image.npy", image.astype(np.float16))
        np.save(folder / f"{seed}_label.npy", label)
    return tmp_path / "store"


PLAN = Plan("unet2", (((16, 16, 16), 30), ((8, 8, 8), 2)), filters=2, depth=2, learning_rate=0.01)


def run_training(plan, store, folder):
    train(plan, store, ["1", "2"], ["3"], folder, folder / "out.weights.h5")
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_training_learns_validates_and_resumes_where_it_was_killed(store, tmp_path, monkeypatch):
    whole = run_training(PLAN, store, tmp_path / "whole")
    assert [int(row["step"]) for row in whole] == list(range(2, 33, 2))
    assert float(whole[14]["loss"]) < 0.5 * float(whole[0]["loss"])
    assert [bool(row["validation_dice_mean"]) for row in whole] == [False] * 14 + [True] * 2

    from calcohort.networks import steps as module

    class KilledError(Exception):
        pass

    learn, calls = module.Training.learn, []

    def killed(self, *sample):
        calls.append(1)
        if len(calls) == 14:
            raise KilledError
        return learn(self, *sample)

    monkeypatch.setattr(module.Training, "learn", killed)
    with pytest.raises(KilledError):
        run_training(PLAN, store, tmp_path / "killed")
    monkeypatch.undo()
    resumed = run_training(PLAN, store, tmp_path / "killed")
    assert [row["step"] for row in resumed] == [row["step"] for row in whole]
    assert [float(row["loss"]) for row in resumed] == pytest.approx(
        [float(row["loss"]) for row in whole], abs=0.01
    )
    with pytest.raises(UserError, match="another plan"):
        run_training(Plan("unet2", PLAN.stages, filters=4, depth=2), store, tmp_path / "whole")


def test_a_loss_that_is_no_number_stops_the_training(store, tmp_path):
    image = np.load(store / "unet2" / "1_image.npy")
    np.save(store / "unet2" / "1_image.npy", np.full_like(image, np.nan))
    with pytest.raises(UserError, match="not a number"):
        run_training(PLAN, store, tmp_path / "run")


@pytest.fixture
def small_phantom(monkeypatch):
    """A root of 6 × 10 × 14 mm in a scan of 40 mm a side, rendered at the voxels' centres."""
    scan = Grid((40, 40, 40), np.eye(4))

    def truth(patient, grid):
        k, j, i = np.moveaxis(grid.world(np.moveaxis(np.indices(grid.shape), 0, -1)), -1, 0)[::-1]
        root = (abs(k - 22.5) < 3) & (abs(j - 17.5) < 5) & (abs(i - 18.5) < 7)
        return root.astype(np.float32), np.zeros(grid.shape, np.float32)

    def render(patient, grid):
        root = truth(patient, grid)[0] >= 0.5
        return SimpleNamespace(hu=np.where(root, 400, 100).astype(np.int16), root=root)

    corners = [[11.5, 12.5, 19.5], [25.5, 22.5, 25.5]]
    family = SimpleNamespace(
        draw=lambda seed: SimpleNamespace(seed=seed),
        scan_grid=lambda patient: scan,
        root_box=lambda patient: np.array(corners),
        render=render,
        truth=truth,
    )
    monkeypatch.setitem(data.FAMILIES, "small", family)
    monkeypatch.setattr(data, "CROP_SHAPE", (36, 36, 36))
    return data


def test_unet1_learns_the_filled_box_on_the_downscaled_scan(small_phantom):
    image, box = small_phantom.scan_and_box(Case("small", 5), (1, 1, 1))
    assert image.shape == box.shape == (40, 20, 20)
    # Centres of every two rows lie at 0.5, 2.5 …: of rows 13 to 22 at 12.5 … 22.5, strictly inside
    # 14.5, 16.5, 18.5, 20.5, and 12.5, 22.5 are on the edge; of columns 12 to 25 12.5 … 24.5.
    assert box.sum() == 6 * 4 * 7 and box[20:26, 7:11, 6:13].all()
    image, box = small_phantom.scan_and_box(Case("small", 5), (2, 2, 2))
    assert image.shape == (20, 10, 10) and box.any(axis=(1, 2)).sum() == 3


def test_unet2_learns_the_root_in_a_crop_that_is_air_outside_the_scan(small_phantom):
    image, root = small_phantom.crop_and_root(Case("small", 5), (1, 1, 1))
    assert image.shape == root.shape == (36, 36, 36)
    assert root.sum() == 6 * 10 * 14
    assert (image[root == 1] == 1).all() and image.min() == 0
    # 340 of 400 HU is the ceiling, -1024 the air: tissue of 100 HU is 1124 / 1364.
    assert np.unique(image) == pytest.approx([0, 1124 / 1364, 1], abs=1e-6)
    slices = (image > 0).sum(axis=0).max(), (image > 0).sum(axis=1).max()
    assert max(slices) <= 36 and min(slices) < 36


def test_a_label_is_the_roots_share_of_every_block(small_phantom):
    _, root = small_phantom.crop_and_root(Case("small", 5), (4, 4, 4))
    assert root.shape == (9, 9, 9)
    assert root.sum() * 4**3 == pytest.approx(6 * 10 * 14)
    assert ((root > 0) & (root < 1)).any() and root.max() <= 1


def test_store_is_made_once_and_the_same_for_a_seed(small_phantom, tmp_path, monkeypatch):
    monkeypatch.setattr(small_phantom, "ProcessPoolExecutor", ThreadPoolExecutor)
    cases = [Case("small", seed) for seed in (1_000_000, 1_000_001)]
    made = ["small-1000000", "small-1000001"]
    assert list(make_store(tmp_path / "a", "unet2", (2, 2, 2), cases)) == made
    assert list(make_store(tmp_path / "b", "unet2", (2, 2, 2), cases[1:])) == made[1:]
    names = ["small-1000001_image.npy", "small-1000001_label.npy"]
    for name in names:
        assert (tmp_path / "a/unet2" / name).read_bytes() == (
            tmp_path / "b/unet2" / name
        ).read_bytes()
    first = np.load(tmp_path / "a/unet2/small-1000000_image.npy")
    assert first.dtype == np.float16
    assert not np.array_equal(first, np.load(tmp_path / "a/unet2/small-1000001_image.npy"))
    small_phantom.FAMILIES["small"].draw = None
    assert list(make_store(tmp_path / "a", "unet2", (2, 2, 2), cases)) == made
