"""A trained network against the references of scans that it has not seen."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from calcohort import volume
from calcohort.measure.overlap import compare_masks
from calcohort.networks.predict import Network, read_ahead
from calcohort.training import FIGURES
from calcohort.training.sample import network_view


def judge_scans(
    network: Network,
    name: str,
    scans: Iterable[tuple[str, str, str]],
    view: Mapping[str, Any],
    threshold: float = 0.5,
) -> Iterator[dict[str, Any]]:
    """Compare what a network finds with the references, on the grid that the pipeline gives it.

    U-Net1 is judged by the box, U-Net2 by the root. What is compared is every voxel of at least
    `threshold`, before the pipeline's choice of one component.

    Parameters
    ----------
    network : Network
        The trained network.
    name : str
        "unet1" or "unet2".
    scans : iterable of (scan_id, ct path, mask path)
        Held-out scans; their samples were prepared, so they can be seen.
    view : mapping
        Settings of `network_view`.
    threshold : float

    Yields
    ------
    dict
        `scan_id`, `dice`, `iou`, `assd_mm`, `hd95_mm`, `volume_error_mm3`; where nothing was found
        the Dice is 0 and the distances are None.
    """

    def read(scan):
        scan_id, ct_path, mask_path = scan
        ct = volume.read(ct_path)
        return network_view(name, ct, volume.read_mask(mask_path, ct.grid), scan_id, **view)

    for (scan_id, *_), seen in read_ahead(scans, read):
        image, truth = seen.result()
        found = network.probability(image.array) >= threshold
        compared = compare_masks(found, truth, image.grid)
        yield {"scan_id": scan_id} | {key: compared[key] for key in FIGURES}
