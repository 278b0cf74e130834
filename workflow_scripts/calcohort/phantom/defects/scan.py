"""A small scan whose HU is known everywhere, and how a defect is applied to it.

HU is a linear function of the place in the patient, so linear interpolation between slices must
give it exactly: a conversion, resampled or not, is right where every voxel has the HU of its place.
"""

import io
import tempfile
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset

from calcohort.outcomes import Reason
from calcohort.phantom.series import write_series
from calcohort.volume import Volume

SLICES, ROWS, COLUMNS = 24, 40, 48
SLICE_MM, PIXEL_MM = 1.5, 0.75
GRADIENT_HU_PER_MM = np.array([14.0, -11.0, 9.0])
CENTRE_HU = -150.0
INTERCEPT_HU = -1024
RAS_TO_LPS = np.array([-1.0, -1.0, 1.0])


class Stage(Enum):
    """When a defect strikes: before HU are painted at their places, after, or in the files."""

    PLACES = 1
    DATASETS = 2
    FILES = 3


@dataclass(frozen=True)
class Defect:
    """One named defect.

    Attributes
    ----------
    name, does : str
        What it is called, and what it does, in a sentence.
    stage : Stage
        When it strikes.
    spoil : callable
        Changes the datasets (a list), or the files (a dict of name to bytes), in place.
    refused : Reason or None
        Why the scan is refused with all repairs off; None if it converts.
    refused_repairing : Reason or None
        The same with all repairs on.
    repairs : tuple of str
        The repairs that are then recorded.
    """

    name: str
    does: str
    stage: Stage
    spoil: Callable
    refused: Reason | None
    refused_repairing: Reason | None
    repairs: tuple[str, ...]


DEFECTS: dict[str, Defect] = {}


def defect(
    stage: Stage,
    refused: Reason | None = None,
    *,
    repairs: str = "",
    refused_repairing: Reason | None = None,
) -> Callable:
    """Register the decorated function as a defect; its docstring says what it does.

    `refused` holds with repairs too, unless `repairs` names what puts the defect right, or
    `refused_repairing` another reason.
    """

    def register(spoil: Callable) -> Callable:
        name = spoil.__name__.replace("_", " ")
        repairing = None if repairs else refused_repairing or refused
        does = " ".join(spoil.__doc__.split())
        DEFECTS[name] = Defect(name, does, stage, spoil, refused, repairing, tuple(repairs.split()))
        return spoil

    return register


def truth_hu(world_mm: np.ndarray) -> np.ndarray:
    """HU at places (..., 3) in world mm, RAS+."""
    return np.asarray(world_mm) @ GRADIENT_HU_PER_MM + CENTRE_HU


def write_defective(folder: Path, defects: Iterable[Defect]) -> None:
    """Write the scan with some defects into `folder`."""
    datasets = [deepcopy(each) for each in sound_datasets()]
    for stage in Stage:
        if stage is Stage.DATASETS:
            for dataset in datasets:
                paint(dataset)
        if stage is Stage.FILES:
            files = {f"{k:03d}.dcm": as_bytes(each) for k, each in enumerate(datasets)}
        for each in defects:
            if each.stage is stage:
                each.spoil(files if stage is Stage.FILES else datasets)
    folder.mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)


def paint(dataset: Dataset) -> None:
    """Store the HU of every pixel's place; the place is what the header says."""
    hu = hu_of(dataset)
    stored = np.rint(hu - INTERCEPT_HU).astype("<u2")
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, INTERCEPT_HU
    dataset.PixelData = stored.tobytes()


def hu_of(dataset: Dataset) -> np.ndarray:
    """HU ``[row, column]`` at the places that the header tells (DICOM PS3.3, C.7.6.2.1.1)."""
    row, column = np.array(dataset.ImageOrientationPatient, float).reshape(2, 3)
    between_rows, between_columns = map(float, dataset.PixelSpacing)
    j, i = np.mgrid[: dataset.Rows, : dataset.Columns]
    lps = np.array(dataset.ImagePositionPatient, float)
    lps = lps + i[..., None] * between_columns * row + j[..., None] * between_rows * column
    return truth_hu(lps * RAS_TO_LPS)


def as_bytes(dataset: Dataset) -> bytes:
    """Return the bytes of a dataset's file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def stored(dataset: Dataset) -> np.ndarray:
    """Stored values ``[row, column]`` of a painted dataset, to be changed."""
    return np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns).copy()


@cache
def sound_datasets() -> tuple[Dataset, ...]:
    """Return the slices without a defect, not to be changed, from feet to head."""
    spacing = np.diag([PIXEL_MM, PIXEL_MM, SLICE_MM, 1.0])
    shape = np.array([COLUMNS, ROWS, SLICES])
    spacing[:3, 3] = -(shape - 1) / 2 * np.diag(spacing)[:3]
    volume = Volume(np.zeros((SLICES, ROWS, COLUMNS), np.int16), spacing)
    with tempfile.TemporaryDirectory() as folder:
        files = write_series(Path(folder), volume, patient_id="defects", seed=1)
        return tuple(map(_free_of_encoding, map(pydicom.dcmread, files)))


def _free_of_encoding(read: Dataset) -> Dataset:
    free = Dataset()
    free.update(read)
    free.file_meta = read.file_meta
    return free
