"""Root and calcium as one DICOM Segmentation on the source's own slices."""

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.color import CIELabColor
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)

from calcohort.handback import codes
from calcohort.handback.identity import Identity
from calcohort.handback.source import PlacedImage, headers_of, is_enhanced

ROOT_SEGMENT, CALCIUM_SEGMENT = 1, 2
ROOT_COLOUR, CALCIUM_COLOUR = map(CIELabColor.from_string, ("#56B4E9", "#E69F00"))
"""Those of the QC picture; viewers choose their own, each another, where a SEG names none."""


def make_seg(
    images: list[PlacedImage],
    root: np.ndarray,
    calcium: np.ndarray,
    *,
    identity: Identity,
    root_source: str,
    calcium_rule: str,
) -> Segmentation:
    """Make the Segmentation: segment 1 is the root, segment 2 the calcium.

    Parameters
    ----------
    images : list of PlacedImage
        The source images that show the root, foot to head.
    root, calcium : ndarray of bool, ``[k, j, i]``
        Masks on the scan's grid; the root is not empty. Without calcium there is no segment 2: a
        segment of nothing could be read as "not looked for".
    identity : Identity
        UIDs, time and version.
    root_source : str
        ``network``, or ``sheet`` for a mask that was given.
    calcium_rule : str
        Name and threshold of the rule, for the algorithm's parameters.

    Returns
    -------
    Segmentation
    """
    masks = {ROOT_SEGMENT: root} | ({CALCIUM_SEGMENT: calcium} if calcium.any() else {})
    stacked = np.stack([np.stack([i.of(m) for m in masks.values()], axis=-1) for i in images])
    automatic = root_source == "network"
    descriptions = [
        SegmentDescription(
            segment_number=ROOT_SEGMENT,
            segment_label="Aortic root",
            segmented_property_category=codes.ANATOMICAL_STRUCTURE,
            segmented_property_type=codes.AORTIC_ROOT,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC
            if automatic
            else SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
            algorithm_identification=_algorithm(
                "Calcohort U-Nets" if automatic else "Mask given to Calcohort", identity, {}
            ),
            tracking_id="Aortic root",
            tracking_uid=identity.uid("tracking", "root"),
            display_color=ROOT_COLOUR,
        ),
        SegmentDescription(
            segment_number=CALCIUM_SEGMENT,
            segment_label="Calcium of the aortic root",
            segmented_property_category=codes.ABNORMAL_STRUCTURE,
            segmented_property_type=codes.CALCIFICATION,
            algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
            algorithm_identification=_algorithm(
                "Calcohort threshold", identity, {"rule": calcium_rule}
            ),
            anatomic_regions=[codes.AORTIC_ROOT],
            tracking_id="Calcium of the aortic root",
            tracking_uid=identity.uid("tracking", "calcium"),
            display_color=CALCIUM_COLOUR,
        ),
    ]
    made = Segmentation(
        source_images=headers_of(images),
        pixel_array=_frames(images, stacked.astype(np.uint8)),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions[: len(masks)],
        sop_instance_uid=identity.uid("seg"),
        content_label="CALCIUM",
        content_description="Aortic root and its calcium, for research only",
        content_creator_name="Calcohort^",
        **identity.of_series("seg"),
    )
    return identity.settled(made)


def _frames(images: list[PlacedImage], stacked: np.ndarray) -> np.ndarray:
    """Masks of every frame of an enhanced CT, as highdicom wants them; of single images as is."""
    whole = images[0].header
    if not is_enhanced(whole):
        return stacked
    every = np.zeros((int(whole.NumberOfFrames), *stacked.shape[1:]), stacked.dtype)
    every[[image.frame for image in images]] = stacked
    return every


def _algorithm(
    name: str, identity: Identity, parameters: dict[str, str]
) -> AlgorithmIdentificationSequence:
    return AlgorithmIdentificationSequence(
        name=name,
        family=codes.ARTIFICIAL_INTELLIGENCE,
        version=identity.version,
        source="Calcohort",
        parameters=parameters or None,
    )
