"""Take enhanced multi-frame CT apart: one `Image` a frame, its header as a single image would have.

An enhanced CT (DICOM PS3.3, A.38) keeps what all frames share in one set of functional groups and
what differs in a set for each frame. Flattened, a frame is judged, chosen and read like any slice.
"""

from collections.abc import Iterator
from dataclasses import replace

import pydicom
from pydicom.dataset import Dataset

from calcohort.dicom.damage import DAMAGED, raise_machine_trouble, refuse_inflation
from calcohort.dicom.find import ENHANCED_CT, Found, Image, Series, kind_of, number, text

GROUPS = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MACROS = {
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness"),
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "CTXRayDetailsSequence": ("KVP",),
    "CTReconstructionSequence": ("ConvolutionKernel",),
    "CardiacSynchronizationSequence": ("NominalPercentageOfCardiacPhase",),
}
AGENTS, FRAME_TYPE = "ContrastBolusAgentSequence", "CTImageFrameTypeSequence"


def take_frames_apart(found: Found) -> Found:
    """Replace each enhanced CT series by the series of its frames.

    Parameters
    ----------
    found : Found
        As `find_series` returns it.

    Returns
    -------
    Found
        With a series for each kind of frame; a file that cannot be taken apart is left as it is,
        of kind `multi-frame`, or is named among the broken ones when its groups are damaged.
    """
    series, broken = [], list(found.broken)
    for whole in found.series:
        if whole.kind != "multi-frame":
            series.append(whole)
            continue
        groups: dict[str, list[Image]] = {}
        for image in whole.images:
            try:
                for frame in _frames(image):
                    groups.setdefault(kind_of(frame.header), []).append(frame)
            except DAMAGED as error:
                raise_machine_trouble(error)
                broken.append((image.label, whole.uid))
        series += [Series(whole.uid, kind, tuple(images)) for kind, images in groups.items()]
    return replace(found, series=tuple(series), broken=tuple(broken))


def _frames(image: Image) -> Iterator[Image]:
    if image.header.get("SOPClassUID") not in ENHANCED_CT:
        yield image
        return
    refuse_inflation(image.path)
    groups = pydicom.dcmread(image.path, stop_before_pixels=True, specific_tags=[*GROUPS, AGENTS])
    if groups.get(AGENTS):
        image.header.ContrastBolusAgent = text(groups[AGENTS][0], "CodeMeaning")
    (shared,), frames = (groups[keyword].value for keyword in GROUPS)
    if len(frames) != number(image.header, "NumberOfFrames"):
        raise ValueError("the number of frames is not that of their functional groups")
    for index, own in enumerate(frames):
        header = _flat(image.header, shared, own)
        yield Image(image.path, f"frame {index + 1} of {image.label}", header, index)


def _flat(header: Dataset, shared: Dataset, own: Dataset) -> Dataset:
    """Lay a frame's functional groups over the header of its file."""
    flat = Dataset()
    flat.update(header)
    flat.file_meta = header.file_meta
    del flat.NumberOfFrames
    for macro, keywords in MACROS.items():
        for group in (shared, own):
            items = group.get(macro)
            for keyword in keywords if items else ():
                if keyword in items[0]:
                    flat[keyword] = items[0][keyword]
    items = own.get(FRAME_TYPE) or shared.get(FRAME_TYPE)
    if items and text(items[0], "FrameType"):
        flat.ImageType = _as_axial(text(items[0], "FrameType"))
    return flat


def _as_axial(frame_type: str) -> list[str]:
    """Image Type of a frame: an enhanced CT calls an original stack of slices a volume."""
    values = frame_type.upper().split("\\")
    if values[2:3] == ["VOLUME"]:
        values[2] = "AXIAL"
    return values
