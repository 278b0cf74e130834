"""A node that speaks DICOMweb: QIDO-RS, WADO-RS, STOW-RS (DICOM PS3.18)."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import requests
from dicomweb_client import DICOMwebClient

from calcohort.node.node import TIMEOUT_S, Keep, NodeTrouble, Series
from calcohort.outcomes import UserError

ANY_SYNTAX = (("application/dicom", "*"),)


class _Session(requests.Session):
    """A session whose own `verify` counts more than REQUESTS_CA_BUNDLE of the environment."""

    def merge_environment_settings(self, url, proxies, stream, verify, cert):
        """Let the session decide where the request does not."""
        verify = self.verify if verify is None else verify
        return super().merge_environment_settings(url, proxies, stream, verify, cert)


class WebNode:
    """A node reached by its DICOMweb address.

    Who we are comes from the environment, never from the config: CALCOHORT_NODE_USER and
    CALCOHORT_NODE_PASSWORD, or CALCOHORT_NODE_TOKEN (a bearer token).

    Parameters
    ----------
    url : str
        Root of the services, without `/studies`.
    tls : mapping, optional
        Files `ca` (who vouches for the node), `certificate` and `key` (who we are), PEM.
    """

    def __init__(self, url: str, tls: Mapping[str, str] | None = None) -> None:
        self.name = url
        session = _Session()
        tls = tls or {}
        if "ca" in tls:
            session.verify = tls["ca"]
        if "certificate" in tls:
            session.cert = (tls["certificate"], tls.get("key"))
        user, token = os.environ.get("CALCOHORT_NODE_USER"), os.environ.get("CALCOHORT_NODE_TOKEN")
        if user:
            session.auth = (user, os.environ.get("CALCOHORT_NODE_PASSWORD", ""))
        elif token:
            session.headers["Authorization"] = f"Bearer {token}"
        self.client = DICOMwebClient(url, session=session, timeout=TIMEOUT_S)
        self.client.set_http_retry_params(retry=False)

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Check that the node answers a search.

        Raises
        ------
        UserError
            When it does not.
        """
        try:
            self._ask(self.client.search_for_studies, limit=1)
        except NodeTrouble as trouble:
            raise UserError(f"{trouble}. Check `node` in the config.") from trouble
        yield

    def studies(self, wanted: Mapping[str, str]) -> list[dict[str, str]]:
        """Find studies (QIDO-RS)."""
        keywords = {*wanted, "StudyInstanceUID"}
        found = self._search(self.client.search_for_studies, search_filters=dict(wanted))
        return [{word: str(item.get(word, "")) for word in keywords} for item in found]

    def series(self, study_uid: str) -> list[Series]:
        """List the series of a study (QIDO-RS)."""
        found = self._search(self.client.search_for_series, study_instance_uid=study_uid)
        return [
            Series(str(item.SeriesInstanceUID), str(item.get("Modality", ""))) for item in found
        ]

    def images(self, study_uid: str, series_uid: str) -> set[str]:
        """List the images of a series (QIDO-RS)."""
        found = self._search(
            self.client.search_for_instances,
            study_instance_uid=study_uid,
            series_instance_uid=series_uid,
        )
        return {str(item.SOPInstanceUID) for item in found}

    def fetch(
        self, study_uid: str, series_uid: str, uids: list[str], whole: bool, keep: Keep
    ) -> None:
        """Fetch images one by one (WADO-RS), in the compression in which the node holds them."""
        for uid in uids:
            image = self._ask(
                self.client.retrieve_instance, study_uid, series_uid, uid, media_types=ANY_SYNTAX
            )
            if str(image.SOPInstanceUID) != uid:
                raise NodeTrouble(f"{self.name} answers with another image than was asked for")
            content = BytesIO()
            pydicom.dcmwrite(content, image, enforce_file_format=True)
            keep(uid, content.getvalue())

    def store(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Store files one by one (STOW-RS), in the order given."""
        for path in paths:
            answer = self._ask(self.client.store_instances, [pydicom.dcmread(path)])
            failed = answer.get("FailedSOPSequence")
            if failed:
                why = failed[0].get("FailureReason", 0)
                raise NodeTrouble(f"{self.name}: STOW-RS failed with 0x{why:04X}")
            yield path

    def _search(self, search: Callable, **asked: Any) -> list[pydicom.Dataset]:
        found = self._ask(search, get_remaining=True, **asked)
        return [pydicom.Dataset.from_json(item) for item in found]

    def _ask(self, request: Callable, *asked: Any, **more: Any) -> Any:
        try:
            return request(*asked, **more)
        except requests.exceptions.SSLError as error:
            raise UserError(
                f"{self.name}: the encrypted connection fails; check `tls` in the config."
            ) from error
        except requests.HTTPError as error:
            code = error.response.status_code
            if code in (401, 403):
                raise UserError(
                    f"{self.name} refuses us (HTTP {code}): set CALCOHORT_NODE_USER and "
                    "CALCOHORT_NODE_PASSWORD, or CALCOHORT_NODE_TOKEN."
                ) from error
            raise NodeTrouble(f"{self.name} answers HTTP {code}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise NodeTrouble(f"{self.name} does not answer") from error
