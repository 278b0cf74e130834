"""Read pixels with pydicom; compressed ones by two decoders that must agree.

Decoders are C libraries: a damaged stream can end the process that runs them. So a compressed
series is decompressed by a process of its own into plain copies, before anything else reads it.
"""

import multiprocessing
import os
import resource
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.pixels import iter_pixels
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
    RLELossless,
)

from calcohort.dicom.damage import (
    DAMAGED,
    raise_machine_trouble,
    refuse_excess,
    refuse_inflation,
    refuse_trailing_bytes,
)
from calcohort.dicom.find import Image, number, numbers, text, transfer_syntaxes
from calcohort.outcomes import Excluded, Reason
from calcohort.private import private_log

PLAIN = {ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian}
TWO_DECODERS = ("pylibjpeg", "gdcm")
OTHER_DECODERS = {RLELossless: ("pydicom", "pylibjpeg"), JPEGExtended12Bit: ()}
"""GDCM reads no RLE through pydicom, and no 12 bits of JPEG Extended: one decoder is not enough."""
ANY_DECODER = ("",)
BYTES_PER_VOXEL = 4
SPARE_BYTES = 6_000_000_000
"""Address space, not memory: libraries of a process take a few GB of it unused."""
DECODING_S = 1200


def decode_each(images: tuple[Image, ...]) -> Iterator[tuple[int, np.ndarray]]:
    """Decode images to HU, each file opened once.

    HU = stored value × Rescale Slope + Rescale Intercept (DICOM PS3.3, C.11.1.1.2).

    Yields
    ------
    int, ndarray of float64 ``[row, column]``
        Place of the image among `images`, and its HU.

    Raises
    ------
    Excluded
        `unreadable`, naming the file by its label; `not_convertible` when no decoder knows its
        compression.
    """
    for index, image, stored in _decode_files(images, ANY_DECODER):
        slope, intercept = (number(image.header, f"Rescale{n}") for n in ("Slope", "Intercept"))
        yield index, stored * slope + intercept


def decode_hu(image: Image) -> np.ndarray:
    """Decode one image to HU ``[row, column]``; see `decode_each`."""
    return next(decode_each((image,)))[1]


def plain_images(images: tuple[Image, ...], workspace: Path) -> tuple[Image, ...]:
    """Return images that need no decoder: themselves, or plain copies.

    Copied are compressed series, and frames of a file of which others are left out.

    Parameters
    ----------
    images : tuple of Image
        Of one series.
    workspace : Path
        An existing folder, which gets the folder `plain` of copies: single CT images, explicit
        little endian, without any element that names someone.

    Raises
    ------
    Excluded
        `unreadable`, `not_convertible` (no decoder, or only one, knows the compression),
        `conversion_mismatch` when two decoders disagree.
    """
    syntaxes = {text(image.header.file_meta, "TransferSyntaxUID") for image in images}
    if syntaxes <= PLAIN and not _leaves_frames_out(images):
        return images
    folder = workspace / "plain"
    folder.mkdir()
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context()) as child:
        try:
            paths = child.submit(_write_copies, images, folder).result()
        except BrokenProcessPool as error:
            raise _broken_decoder(images) from error
    return tuple(
        replace(image, path=path, frame=0) for image, path in zip(images, paths, strict=True)
    )


def _leaves_frames_out(images: tuple[Image, ...]) -> bool:
    taken = Counter(image.path for image in images)
    files = {image.path for image in images if image.frame}
    return any(_frames_of(path) != taken[path] for path in files)


def _frames_of(path: Path) -> float | None:
    keyword = "NumberOfFrames"
    header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=[keyword])
    return number(header, keyword)


def _write_copies(images: tuple[Image, ...], folder: Path) -> list[Path]:
    """Write plain copies; in a process of its own, which may not grow or run without bounds.

    What decoders print is dropped; a decoder in Rust panics with no `Exception`.
    """
    warnings.simplefilter("ignore")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    voxels = sum(number(i.header, "Rows") * number(i.header, "Columns") for i in images)
    _limit(resource.RLIMIT_AS, SPARE_BYTES + int(voxels) * 2 * BYTES_PER_VOXEL)
    _limit(resource.RLIMIT_CPU, DECODING_S)
    paths = [folder / f"{index:05d}.dcm" for index in range(len(images))]
    try:
        for index, image, stored in _decode_files(images, TWO_DECODERS):
            _plain_dataset(image, index, stored).save_as(paths[index], enforce_file_format=True)
    except MemoryError as error:
        raise Excluded(
            Reason.UNREADABLE, "the pixels take far more memory to decode than the image is large"
        ) from error
    except BaseException as error:
        if isinstance(error, Exception):
            raise
        raise _broken_decoder(images) from None
    return paths


def _broken_decoder(images: tuple[Image, ...]) -> Excluded:
    return Excluded(
        Reason.UNREADABLE,
        f"the decoder of {transfer_syntaxes(images)} broke down: some file is damaged",
    )


def _limit(what: int, most: int) -> None:
    soft, hard = resource.getrlimit(what)
    finite = [limit for limit in (most, soft, hard) if limit != resource.RLIM_INFINITY]
    resource.setrlimit(what, (min(finite), hard))


def _decode_files(images: tuple[Image, ...], decoders: tuple[str, ...]) -> Iterator:
    """Yield place, image and stored values of each image; with two decoders, once they agree."""
    places: dict[Path, list[int]] = {}
    for index, image in enumerate(images):
        places.setdefault(image.path, []).append(index)
    for path, indices in places.items():
        image = images[indices[0]]
        try:
            yield from _decode_file(path, [(i, images[i]) for i in indices], decoders)
        except NotImplementedError as error:
            raise Excluded(
                Reason.NOT_CONVERTIBLE, f"no two decoders read {transfer_syntaxes((image,))}"
            ) from error
        except DAMAGED as error:
            raise_machine_trouble(error)
            private_log.warning("%s: %s", path, error)
            raise Excluded(
                Reason.UNREADABLE,
                f"the pixels of {image.label} cannot be decoded ({type(error).__name__}), "
                "it may be truncated",
            ) from error


def _decode_file(path: Path, members: list[tuple[int, Image]], decoders: tuple) -> Iterator:
    first = members[0][1].header
    frames = 1 + max(image.frame for _, image in members)
    voxels = int(number(first, "Rows") * number(first, "Columns")) * frames
    refuse_inflation(path)
    refuse_excess(path, voxels * BYTES_PER_VOXEL)
    dataset = pydicom.dcmread(path)
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax in PLAIN:
        refuse_trailing_bytes(path, dataset)
    if not syntax.is_encapsulated:
        decoders = ANY_DECODER
    elif decoders is TWO_DECODERS:
        decoders = OTHER_DECODERS.get(syntax, decoders)
    if not decoders:
        raise NotImplementedError
    wanted = [image.frame for _, image in members]
    readings = [iter_pixels(dataset, indices=wanted, decoding_plugin=name) for name in decoders]
    for (index, image), *read in zip(members, *readings, strict=True):
        if any(not np.array_equal(read[0], other) for other in read[1:]):
            raise Excluded(
                Reason.CONVERSION_MISMATCH,
                f"two decoders of {syntax.name} read different values in {image.label}",
            )
        yield index, image, read[0]


def _plain_dataset(image: Image, index: int, stored: np.ndarray) -> Dataset:
    header, plain = image.header, Dataset()
    plain.file_meta = FileMetaDataset()
    plain.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    plain.file_meta.MediaStorageSOPClassUID = plain.SOPClassUID = CTImageStorage
    uid = f"2.25.{index + 1}"
    plain.file_meta.MediaStorageSOPInstanceUID = plain.SOPInstanceUID = uid
    plain.Modality, plain.ImageType = "CT", ["ORIGINAL", "PRIMARY", "AXIAL"]
    plain.StudyInstanceUID, plain.SeriesInstanceUID = "2.25.1", "2.25.2"
    plain.SeriesNumber, plain.InstanceNumber = 1, index + 1
    for keyword, count in (
        ("ImagePositionPatient", 3),
        ("ImageOrientationPatient", 6),
        ("PixelSpacing", 2),
        ("RescaleSlope", 1),
        ("RescaleIntercept", 1),
    ):
        values = numbers(header, keyword, count)
        setattr(plain, keyword, text(header, keyword).split("\\") if count > 1 else values[0])
    plain.Rows, plain.Columns = stored.shape
    plain.SamplesPerPixel, plain.PhotometricInterpretation = 1, "MONOCHROME2"
    plain.BitsAllocated = plain.BitsStored = stored.dtype.itemsize * 8
    plain.HighBit = plain.BitsStored - 1
    plain.PixelRepresentation = int(stored.dtype.kind == "i")
    plain.PixelData = stored.tobytes()
    return plain
