import pytest
from calcohort.networks.field_of_view import fields_of_view, try_fields_of_view
from calcohort.networks.plan import Plan
from calcohort.outcomes import UserError

PLAN = Plan("unet2", (), filters=8, depth=3)


def test_fields_of_view_shrink_evenly_and_suit_the_network():
    shapes = fields_of_view((224, 256, 256), depth=5)
    assert shapes[0] == (224, 256, 256) and shapes[-1] == (32, 32, 32)
    assert all(side % 32 == 0 for shape in shapes for side in shape)
    assert shapes == sorted(set(shapes), reverse=True)


def test_the_first_field_of_view_that_fits_the_memory_is_the_last_tried():
    trials = list(try_fields_of_view(PLAN, (160, 160, 160), memory_gib=1.8, device="cpu"))
    *too_large, found = trials
    assert too_large and not any(trial.fits for trial in too_large)
    assert found.fits and found.memory_gib <= 1.8 and found.step_s > 0
    again = list(try_fields_of_view(PLAN, found.shape_kji, memory_gib=4.0, device="cpu"))
    assert [trial.shape_kji for trial in again] == [found.shape_kji]


def test_no_memory_and_no_gpu_are_said():
    with pytest.raises(UserError, match=r"no field of view of 8 filters fits into 0.1 GiB"):
        list(try_fields_of_view(PLAN, (16, 16, 16), memory_gib=0.1, device="cpu"))
    with pytest.raises(UserError, match="TensorFlow sees 0; set device to cpu"):
        list(try_fields_of_view(PLAN, (16, 16, 16), memory_gib=4.0, device="gpu"))
