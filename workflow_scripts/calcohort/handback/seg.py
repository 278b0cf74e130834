"""Root and calcium as DICOM Segmentations on the source's own slices.

Each is an object and series of its own: calcium lies in the root, and of segments that overlap
within one object OHIF 3.13 tells half the volume.
"""

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

SEGMENT = 1
ROOT_COLOUR, CALCIUM_COLOUR = map(CIELabColor.from_string, ("#56B4E9", "#E69F00"))
"""Those of the QC picture; where a SEG names none, viewers choose their own."""


def make_root_seg(
    images: list[PlacedImage], root: np.ndarray, *, identity: Identity, root_source: str
) -> Segmentation:
    """Make the Segmentation of the root.

    Parameters
    ----------
    images : list of PlacedImage
        The source images that show the root, foot to head.
    root : ndarray of bool, ``[k, j, i]``
        Mask on the scan's grid, not empty.
    identity : Identity
        UIDs, time and version.
    root_source : str
        ``network``, or ``sheet`` for a mask that was given.

    Returns
    -------
    Segmentation
    """
    automatic = root_source == "network"
    description = SegmentDescription(
        segment_number=SEGMENT,
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
    )
    return _make("root", images, root, description, identity)


def make_calcium_seg(
    images: list[PlacedImage], calcium: np.ndarray, *, identity: Identity, rule: str
) -> Segmentation:
    """Make the Segmentation of the calcium; see `make_root_seg`.

    `calcium` is not empty: a segment of nothing could be read as "not looked for". `rule` is name
    and threshold of the rule, for the algorithm's parameters.
    """
    description = SegmentDescription(
        segment_number=SEGMENT,
        segment_label="Calcium of the aortic root",
        segmented_property_category=codes.ABNORMAL_STRUCTURE,
        segmented_property_type=codes.CALCIFICATION,
        algorithm_type=SegmentAlgorithmTypeValues.AUTOMATIC,
        algorithm_identification=_algorithm("Calcohort threshold", identity, {"rule": rule}),
        anatomic_regions=[codes.AORTIC_ROOT],
        tracking_id="Calcium of the aortic root",
        tracking_uid=identity.uid("tracking", "calcium"),
        display_color=CALCIUM_COLOUR,
    )
    return _make("calcium", images, calcium, description, identity)


def _make(
    kind: str,
    images: list[PlacedImage],
    mask: np.ndarray,
    description: SegmentDescription,
    identity: Identity,
) -> Segmentation:
    made = Segmentation(
        source_images=headers_of(images),
        pixel_array=_frames(images, mask),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=[description],
        content_label=kind.upper(),
        content_description=f"{description.SegmentLabel}, for research only",
        content_creator_name="Calcohort^",
        **identity.of_series(kind),
    )
    return identity.settled(made)


def _frames(images: list[PlacedImage], mask: np.ndarray) -> np.ndarray:
    """Mask ``[frame, row, column]`` of each single image, or of every frame of an enhanced CT."""
    whole = images[0].header
    enhanced = is_enhanced(whole)
    count = int(whole.NumberOfFrames) if enhanced else len(images)
    frames = np.zeros((count, whole.Rows, whole.Columns), np.uint8)
    for place, image in enumerate(images):
        frames[image.frame if enhanced else place] = image.of(mask)
    return frames


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
