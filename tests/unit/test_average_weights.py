"""The mean of several files of weights is itself a file of weights."""

import numpy as np
import pytest
from calcohort.networks.average import average_weights
from calcohort.networks.unet import build_unet
from calcohort.outcomes import UserError


def saved(path, filters=2, depth=2):
    network = build_unet(filters, depth)
    rng = np.random.default_rng(len(path.name))
    network.set_weights([rng.normal(size=w.shape) for w in network.get_weights()])
    network.save_weights(path)
    return network


def test_each_weight_is_the_mean_of_the_files(tmp_path):
    paths = [tmp_path / f"{'x' * n}.weights.h5" for n in (1, 2, 3)]
    networks = [saved(path) for path in paths]
    average_weights(paths, tmp_path / "mean.weights.h5")
    mean = build_unet(2, 2)
    mean.load_weights(tmp_path / "mean.weights.h5")
    for found, *weights in zip(
        mean.get_weights(), *(network.get_weights() for network in networks), strict=True
    ):
        assert found == pytest.approx(np.mean(weights, axis=0), abs=1e-6)


def test_weights_of_another_network_are_refused_and_nothing_is_written(tmp_path):
    one, other = tmp_path / "one.weights.h5", tmp_path / "other.weights.h5"
    saved(one)
    for filters, depth in ((3, 2), (2, 3)):
        saved(other, filters, depth)
        with pytest.raises(UserError, match=r"other\.weights\.h5 holds another network"):
            average_weights([one, other], tmp_path / "mean.weights.h5")
    assert sorted(tmp_path.iterdir()) == [one, other]


def test_one_file_or_no_weights_are_refused(tmp_path):
    one, text = tmp_path / "one.weights.h5", tmp_path / "text.weights.h5"
    saved(one)
    text.write_text("no weights")
    with pytest.raises(UserError, match="at least two"):
        average_weights([one], tmp_path / "mean.weights.h5")
    with pytest.raises(UserError, match=r"text\.weights\.h5 cannot be read"):
        average_weights([one, text], tmp_path / "mean.weights.h5")
