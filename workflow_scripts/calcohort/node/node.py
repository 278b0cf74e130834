"""What is asked of a node, whichever protocol it speaks."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

ATTEMPTS = 3
FIRST_WAIT_S = 1.0
TIMEOUT_S = 60

Keep = Callable[[str, bytes], bool]
"""Takes SOP Instance UID and DICOM file of an image; False where it was not asked for."""


class NodeTrouble(Exception):
    """Trouble that may pass: the node is busy or the line broke. One sentence."""


@dataclass(frozen=True)
class Series:
    """A series that the node announces."""

    uid: str
    modality: str


class Node(Protocol):
    """A DICOM node; every method may raise `NodeTrouble` or `UserError`."""

    name: str

    def opened(self) -> AbstractContextManager[None]:
        """Check that the node answers; hold what stays open meanwhile."""

    def studies(self, wanted: Mapping[str, str]) -> list[dict[str, str]]:
        """Find studies by keyword and value; return those keywords and StudyInstanceUID of each."""

    def series(self, study_uid: str) -> list[Series]:
        """List the series of a study."""

    def images(self, study_uid: str, series_uid: str) -> set[str]:
        """List the SOP Instance UIDs of a series."""

    def fetch(
        self, study_uid: str, series_uid: str, uids: list[str], whole: bool, keep: Keep
    ) -> None:
        """Fetch images and give each to `keep` as it comes; `whole`: they are all of the series."""

    def store(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Store DICOM files; yield each that the node has taken."""


def patiently(work: Callable[[], Any]) -> Any:
    """Do `work`, again after a pause where the node is in trouble: three times in all."""
    attempts = Retrying(
        retry=retry_if_exception_type(NodeTrouble),
        stop=stop_after_attempt(ATTEMPTS),
        wait=wait_exponential(FIRST_WAIT_S),
        reraise=True,
    )
    return attempts(work)
