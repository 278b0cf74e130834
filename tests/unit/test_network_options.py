"""What commands are told about networks."""

from argparse import ArgumentTypeError
from pathlib import Path

import pytest
from calcohort.networks.options import filters_option, weights_option


def test_filters_are_of_the_first_level_or_of_all():
    assert filters_option("8") == 8
    assert filters_option("8,16,64") == [8, 16, 64]


def test_a_name_that_keras_would_refuse_is_refused_before_training():
    assert weights_option("mine.weights.h5") == Path("mine.weights.h5")
    with pytest.raises(ArgumentTypeError, match=r"mine\.h5 does not end with \.weights\.h5"):
        weights_option("mine.h5")
