"""Figures of Minghini et al., IEEE Access 2023 (doi 10.1109/ACCESS.2023.3315734), to stand beside.

They are of clinical scans against radiologists, so they are shown only beside readers' references.
"""

from typing import NamedTuple


class Errors(NamedTuple):
    """R² about the identity line, and mean, SD and range of the absolute error."""

    r2: float
    mae: float
    mae_sd: float
    error_range: float


THRESHOLD_30_SCANS = {
    "F1": Errors(-0.26, 94.90, 96.81, 360.00),
    "F2": Errors(-0.11, 107.96, 66.25, 262.00),
    "F3": Errors(-1.35, 162.83, 86.42, 367.00),
    "F4": Errors(0.52, 76.77, 33.33, 151.00),
    "F5": Errors(0.52, 72.42, 42.01, 179.25),
    "F6": Errors(-2.57, 215.27, 71.90, 332.50),
    "F7": Errors(0.89, 29.58, 25.81, 104.40),
}
"""Table 2: thresholds in HU against the radiologists', 30 scans."""

VOLUME_33_SCANS = {"F7": Errors(0.97, 13.65, 25.35, 95.46)}
"""Section V.A: calcium volumes in mm³, 33 test scans."""

THRESHOLD_NOTE = (
    "In the paper's 33 test scans F7 reached R² 0.94 and MAE 26.15 ± 21.81 HU (range 99), with a "
    "bias of 7.55 HU and limits of agreement −58.55 to 73.64 HU."
)
VOLUME_NOTE = (
    "The paper gives volumes for F7 only: bias −0.49 mm³, limits of agreement −57.79 to 56.81 mm³."
)
