"""Root and calcium as one DICOM Segmentation on the source's own slices."""

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import (
    SegmentAlgorithmTypeValues,
    Segmentation,
    SegmentationTypeValues,
    SegmentDescription,
)

from calcohort.handback import codes
from calcohort.handback.identity import Identity
from calcohort.handback.source import PlacedImage

ROOT_SEGMENT, CALCIUM_SEGMENT = 1, 2


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
    frames = np.stack([np.stack([i.of(m) for m in masks.values()], axis=-1) for i in images])
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
        ),
    ]
    made = Segmentation(
        source_images=[image.header for image in images],
        pixel_array=frames.astype(np.uint8),
        segmentation_type=SegmentationTypeValues.BINARY,
        segment_descriptions=descriptions[: len(masks)],
        sop_instance_uid=identity.uid("seg"),
        content_label="CALCIUM",
        content_description="Aortic root and its calcium, for research only",
        content_creator_name="Calcohort^",
        **identity.of_series("seg"),
    )
    return identity.settled(made)


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
