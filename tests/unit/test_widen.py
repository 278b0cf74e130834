"""A wider network that begins where a narrow one stands: it finds the same."""

import numpy as np
import pytest
from calcohort.networks.unet import build_unet
from calcohort.networks.widen import widen_weights
from calcohort.outcomes import UserError


@pytest.fixture
def narrow(tmp_path):
    network = build_unet(2, 2)
    rng = np.random.default_rng(3)
    network.set_weights([rng.normal(0, 0.5, w.shape) for w in network.get_weights()])
    network.save_weights(tmp_path / "narrow.weights.h5")
    return network


@pytest.mark.parametrize("filters", [[2, 8, 8], [3, 7, 9], [2, 4, 8], 5])
def test_the_wider_network_finds_the_same(narrow, tmp_path, filters):
    out = tmp_path / "wide.weights.h5"
    widen_weights(tmp_path / "narrow.weights.h5", 2, filters, 2, out)
    wide = build_unet(filters, 2)
    wide.load_weights(out)
    image = np.random.default_rng(4).random((1, 8, 12, 16, 1), dtype=np.float32)
    found = wide.predict_on_batch(image)
    assert found == pytest.approx(narrow.predict_on_batch(image), abs=1e-4)
    assert found[..., 1].std() > 0.01


def test_copies_of_a_channel_are_read_with_different_weights(narrow, tmp_path):
    out = tmp_path / "wide.weights.h5"
    widen_weights(tmp_path / "narrow.weights.h5", 2, [4, 4, 8], 2, out)
    wide = build_unet([4, 4, 8], 2)
    wide.load_weights(out)
    kernel = wide.layers[4].get_weights()[0]
    assert kernel.shape == (3, 3, 3, 4, 4)
    assert not np.isclose(kernel[..., 0, :], kernel[..., 2, :]).any()


@pytest.mark.parametrize(
    ("before", "after", "reason"),
    [(2, [2, 3, 8], "fewer"), (3, 6, "as those of a U-Net"), (2, [4, 8], "depth 2 has 3")],
)
def test_what_cannot_be_widened_is_one_sentence(narrow, tmp_path, before, after, reason):
    out = tmp_path / "wide.weights.h5"
    with pytest.raises(UserError, match=reason) as problem:
        widen_weights(tmp_path / "narrow.weights.h5", before, after, 2, out)
    assert len(str(problem.value).splitlines()) == 1
    assert not out.exists()
