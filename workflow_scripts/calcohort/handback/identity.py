"""What identifies the objects of one scan's results: UIDs, series, time, version."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from highdicom import SOPClass
from pydicom.uid import generate_uid

SERIES = {
    "root": (9801, "SEG: aortic root"),
    "calcium": (9802, "SEG: calcium of the aortic root"),
    "sr": (9803, "SR: aortic root calcium"),
}


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
        """Arguments that highdicom wants for the object of a kind of `SERIES` and its series."""
        number, description = SERIES[kind]
        date, time = self.measured.date(), self.measured.time()
        return {
            "sop_instance_uid": self.uid(kind),
            "series_instance_uid": self.uid("series", kind),
            "series_number": number,
            "instance_number": 1,
            "manufacturer": "Calcohort",
            "manufacturer_model_name": "Calcohort",
            "software_versions": self.version,
            "device_serial_number": self.version,
            "series_description": f"Calcohort {description}, research only",
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
                item.DimensionOrganizationUID = self.uid("dimensions", made.SOPInstanceUID)
        return made
