"""The choices of a study about its scans: what they must be, and what of them is put right."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a scan must be to be converted; docs/convert.md gives the reason of every default.

    Attributes
    ----------
    max_slice_spacing_mm, max_pixel_spacing_mm : float
        Largest accepted spacing between slices and in the plane, inclusive.
    min_slices : int
        Smallest number of slices.
    min_coverage_mm : float
        Smallest length of the scan along its slices: spacing × number of slices.
    max_position_error_mm : float
        Largest distance of any slice's corner from the evenly spaced grid.
    max_tilt_degrees : float
        Largest angle between the slices' normal and the direction in which they are stacked.
    max_archive_gb : float
        Largest unpacked size of a zip archive, in 1e9 bytes.
    """

    max_slice_spacing_mm: float = 3.0
    max_pixel_spacing_mm: float = 1.0
    min_slices: int = 32
    min_coverage_mm: float = 60.0
    max_position_error_mm: float = 0.01
    max_tilt_degrees: float = 0.05
    max_archive_gb: float = 8.0


@dataclass(frozen=True)
class Repairs:
    """What is put right instead of excluding the scan; docs/convert.md says how.

    Attributes
    ----------
    identical_duplicates : bool
        Take one of several images that are the same in place and pixels.
    padding : bool
        Set values outside of the reconstructed field to air, -1024 HU.
    slice_rescale : bool
        Take each slice by its own rescale slope and intercept where they change.
    phases : bool
        Take the best cardiac phase of a series that holds several.
    tilt, uneven_spacing : bool
        Resample a tilted or unevenly spaced stack onto an even, orthogonal grid.
    max_missing_slices : int
        Most missing slices that are interpolated.
    """

    identical_duplicates: bool = False
    padding: bool = False
    slice_rescale: bool = False
    phases: bool = False
    tilt: bool = False
    uneven_spacing: bool = False
    max_missing_slices: int = 0


NO_REPAIRS = Repairs()
