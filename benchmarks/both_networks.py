"""Box and root of a scan in memory, as the rules from `downscale` to `root` find them."""

import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import calcohort.networks  # noqa: F401  sets oneDNN before TensorFlow is imported
import numpy as np
from calcohort import volume
from calcohort.localise import crop_start, find_box
from calcohort.networks.predict import load_network
from calcohort.normalise import lower_calcium, normalise
from calcohort.outcomes import Excluded
from calcohort.segment import find_root, scan_in_crop
from calcohort.study import read_config, read_settings
from calcohort.volume import Volume


@dataclass
class Found:
    """What both networks make of a scan, on the voxels that `ct` has.

    Attributes
    ----------
    ct : Volume
        The scan on the networks' voxels.
    box : tuple of slice or None
        U-Net1's, with its margin.
    root : ndarray of bool or None
    why : str
        Why there is no root.
    """

    ct: Volume
    box: tuple[slice, slice, slice] | None = None
    root: np.ndarray | None = None
    why: str = ""

    @property
    def root_ml(self) -> float:
        """Volume of the root."""
        return float(self.root.sum() * self.ct.grid.voxel_volume_mm3 / 1000)


class BothNetworks:
    """The networks of a config, loaded once."""

    def __init__(self, configfile: Path | None) -> None:
        self.settings = read_settings(read_config(configfile))
        self.unet1, self.unet2 = (
            load_network(device="cpu", **self.settings[stage]["network"])
            for stage in ("localise", "segment")
        )

    def find(self, ct: Volume) -> Found:
        """Find box and root, or say why not."""
        wanted = self.settings["crop"]
        box_limits, root_limits = (
            {key: value for key, value in self.settings[stage].items() if key != "network"}
            for stage in ("localise", "segment")
        )
        found = Found(volume.respace(ct, self.settings["resample"]["spacing_mm"]))
        grid = found.ct.grid
        small = volume.downscale(found.ct, tuple(self.settings["downscale"]["factor_kji"]))
        try:
            seen = self.unet1.probability(normalise(small.array))
            box = find_box(seen, small.grid, grid, **box_limits)
            ends = box["box_start_kji"], box["box_stop_kji"]
            found.box = tuple(slice(*side) for side in zip(*ends, strict=True))
            shape = tuple(wanted["shape_kji"])
            start = crop_start(*ends, shape)
            crop = volume.crop(found.ct, start, shape, wanted["pad_value_hu"])
            in_crop = tuple(
                slice(max(side.start - s, 0), min(side.stop - s, n))
                for side, s, n in zip(found.box, start, shape, strict=True)
            )
            probability = self.unet2.probability(normalise(lower_calcium(crop.array, in_crop)))
            inside = scan_in_crop(start, shape, grid.shape)
            root = find_root(probability, grid.spacing_mm, in_crop, inside, **root_limits)
            found.root = volume.paste(root, start, grid.shape)
        except Excluded as problem:
            found.why = f"{problem.reason.value}: {problem.detail}"
        return found
