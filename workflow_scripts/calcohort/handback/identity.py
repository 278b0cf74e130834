"""What identifies the objects of one scan's results: UIDs, series, time, version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from highdicom import SOPClass
from pydicom.uid import generate_uid

SERIES_NUMBERS = {"seg": 9801, "sr": 9802}


@dataclass(frozen=True)
class Identity:
    """Identity that follows from the results: the same results always make the same objects.

    Attributes
    ----------
    fingerprint : str
        SHA-256 of the results that are handed back.
    measured : datetime
        When they were measured.
    version : str
        Calcohort's version.
    """

    fingerprint: str
    measured: datetime
    version: str

    def uid(self, *names: str) -> str:
        """UID made of the fingerprint and `names` alone."""
        return generate_uid(entropy_srcs=[self.fingerprint, *names])

    def of_series(self, kind: str) -> dict[str, Any]:
        """Arguments that highdicom wants for the series of a ``seg`` or ``sr``."""
        date, time = self.measured.date(), self.measured.time()
        return {
            "series_instance_uid": self.uid("series", kind),
            "series_number": SERIES_NUMBERS[kind],
            "instance_number": 1,
            "manufacturer": "Calcohort",
            "manufacturer_model_name": "Calcohort",
            "software_versions": self.version,
            "device_serial_number": self.version,
            "series_description": f"Calcohort {kind.upper()}: aortic root calcium, research only",
            "content_date": date,
            "content_time": time,
            "series_date": date,
            "series_time": time,
        }

    def settled(self, made: SOPClass) -> SOPClass:
        """Put our time and UIDs in the place of what highdicom takes from clock and dice."""
        made.InstanceCreationDate, made.InstanceCreationTime = made.ContentDate, made.ContentTime
        for equipment in made.get("ContributingEquipmentSequence", ()):
            if "ContributionDateTime" in equipment:
                equipment.ContributionDateTime = self.measured
        for keyword in ("DimensionOrganizationSequence", "DimensionIndexSequence"):
            for item in made.get(keyword, ()):
                item.DimensionOrganizationUID = self.uid("dimensions")
        return made
