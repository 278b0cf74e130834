"""What commands are told about networks. Knows no TensorFlow."""

from argparse import ArgumentTypeError
from pathlib import Path

FILTERS_FORM = "N[,N...]"


def filters_option(text: str) -> int | list[int]:
    """Read `filters` (`plan.level_filters`): of the first level, ``8``, or of all, ``8,16,64``."""
    first, *deeper = map(int, text.split(","))
    return [first, *deeper] if deeper else first


def weights_option(text: str) -> Path:
    """Read the name of a file of weights to be written: before hours of training, not after."""
    if not text.endswith(".weights.h5"):
        raise ArgumentTypeError(f"{text} does not end with .weights.h5, as Keras wants it")
    return Path(text)
