"""Transfer syntaxes that are no defect, and compressed pixels that are damaged."""

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    RLELossless,
)

from calcohort.outcomes import Reason
from calcohort.phantom.defects.scan import Stage, defect, stored


@defect(Stage.DATASETS)
def rle(datasets):
    """Pixels are compressed by RLE."""
    for dataset in datasets:
        dataset.compress(RLELossless, generate_instance_uid=False)


@defect(Stage.DATASETS)
def jpeg_2000(datasets):
    """Pixels are compressed by JPEG 2000, without loss."""
    for dataset in datasets:
        dataset.compress(JPEG2000Lossless, generate_instance_uid=False)


@defect(Stage.DATASETS)
def half_compressed(datasets):
    """Every other image is compressed by RLE."""
    rle(datasets[::2])


@defect(Stage.DATASETS)
def implicit_vr(datasets):
    """Files are of implicit VR."""
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian


@defect(Stage.DATASETS)
def deflated(datasets):
    """Files are deflated as a whole."""
    for dataset in datasets:
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian


@defect(Stage.DATASETS)
def big_endian(datasets):
    """Files are big endian (retired)."""
    for dataset in datasets:
        dataset.PixelData = stored(dataset).astype(">u2").tobytes()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRBigEndian


@defect(Stage.DATASETS, Reason.UNREADABLE)
def cut_rle(datasets):
    """Pixels are compressed by RLE; those of one image end early."""
    rle(datasets)
    _cut(datasets[8])


@defect(Stage.DATASETS, Reason.UNREADABLE)
def cut_jpeg_2000(datasets):
    """Pixels are compressed by JPEG 2000; those of one image end within their header."""
    jpeg_2000(datasets)
    _cut(datasets[8], keep=40)


def _cut(dataset: Dataset, keep: int | None = None) -> None:
    frame = next(generate_frames(dataset.PixelData, number_of_frames=1))
    dataset.PixelData = encapsulate([frame[: keep or len(frame) // 2]])


@defect(Stage.DATASETS, Reason.UNREADABLE)
def compressed_by_word_only(datasets):
    """The transfer syntax says RLE, the pixels are not compressed."""
    for dataset in datasets:
        rle([dataset])
        dataset.PixelData = encapsulate([b"\1" * 200])
