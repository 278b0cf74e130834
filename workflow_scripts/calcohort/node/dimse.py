"""A node that speaks DIMSE: C-ECHO, C-FIND, C-GET or C-MOVE, C-STORE (DICOM PS3.4 and PS3.7)."""

import ssl
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pydicom
from pydicom import Dataset
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    LegacyConvertedEnhancedCTImageStorage,
    RLELossless,
)
from pynetdicom import AE, Association, build_context, build_role, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)

from calcohort.node.node import TIMEOUT_S, Keep, NodeTrouble, Series
from calcohort.outcomes import UserError

IMAGES = (CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage)
SYNTAXES = (
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    RLELossless,
    JPEGLosslessSV1,
    JPEGLossless,
    *JPEGLSTransferSyntaxes,
    *JPEG2000TransferSyntaxes,
)
SUCCESS, PENDING, WARNING = 0x0000, (0xFF00, 0xFF01), 0xB000
NOT_ASKED_FOR, CANNOT_KEEP = 0x0124, 0xA700


class DimseNode:
    """A node reached by address and application entity (AE) titles.

    Parameters
    ----------
    address, port, ae_title : str, int, str
        The node.
    our_ae_title : str
        Our name, as the node's administrators entered it.
    our_port : int, optional
        Where images are received: they are then moved to `our_ae_title` (C-MOVE), which the node
        must know with this machine's address. Without a port they are got (C-GET).
    tls : mapping, optional
        Files `ca`, `certificate` and `key` (PEM) of an encrypted connection.
    """

    def __init__(
        self,
        address: str,
        port: int,
        ae_title: str,
        our_ae_title: str = "CALCOHORT",
        our_port: int | None = None,
        tls: Mapping[str, str] | None = None,
    ) -> None:
        self.name = f"{ae_title}@{address}:{port}"
        self.address, self.port, self.ae_title = address, port, ae_title
        self.our_port = our_port
        self.tls = dict(tls) if tls else None
        self.ae = AE(ae_title=our_ae_title)
        self.ae.connection_timeout = self.ae.acse_timeout = TIMEOUT_S
        self.ae.dimse_timeout = self.ae.network_timeout = TIMEOUT_S
        self._keep: Keep | None = None

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Check by C-ECHO that the node answers; with `our_port`, receive images meanwhile.

        Raises
        ------
        UserError
            When the node cannot be reached or refuses us, or the port is taken.
        """
        try:
            with self._associated([build_context(Verification)]) as association:
                self._final(association.send_c_echo(), "C-ECHO")
        except NodeTrouble as trouble:
            raise UserError(f"{trouble}. Check `node` in the config.") from trouble
        if not self.our_port:
            yield
            return
        contexts = [build_context(kind, list(SYNTAXES)) for kind in IMAGES]
        contexts.append(build_context(Verification))
        try:
            server = self.ae.start_server(
                ("", self.our_port),
                block=False,
                contexts=contexts,
                evt_handlers=[(evt.EVT_C_STORE, self._received)],
                ssl_context=_tls_context(self.tls, ours=True),
            )
        except OSError as error:
            raise UserError(
                f"The port {self.our_port} for the images cannot be opened: {error.strerror}. "
                "Choose another `our_port`."
            ) from error
        try:
            yield
        finally:
            server.shutdown()

    def studies(self, wanted: Mapping[str, str]) -> list[dict[str, str]]:
        """Find studies (C-FIND at STUDY level)."""
        keywords = {*wanted, "StudyInstanceUID"}
        found = self._find("STUDY", dict.fromkeys(keywords, "") | dict(wanted))
        return [{word: str(item.get(word, "")) for word in keywords} for item in found]

    def series(self, study_uid: str) -> list[Series]:
        """List the series of a study (C-FIND at SERIES level)."""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": "", "Modality": ""}
        found = self._find("SERIES", asked)
        return [
            Series(str(item.SeriesInstanceUID), str(item.get("Modality", ""))) for item in found
        ]

    def images(self, study_uid: str, series_uid: str) -> set[str]:
        """List the images of a series (C-FIND at IMAGE level)."""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        return {str(i.SOPInstanceUID) for i in self._find("IMAGE", asked | {"SOPInstanceUID": ""})}

    def fetch(
        self, study_uid: str, series_uid: str, uids: list[str], whole: bool, keep: Keep
    ) -> None:
        """Get or move images: the `whole` series, else by a list of UIDs at IMAGE level."""
        asked = {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid}
        asked = (
            _query("SERIES", asked) if whole else _query("IMAGE", asked | {"SOPInstanceUID": uids})
        )
        self._keep = keep
        try:
            self._move(asked) if self.our_port else self._get(asked)
        finally:
            self._keep = None

    def store(self, paths: Iterable[Path]) -> Iterator[Path]:
        """Store files by C-STORE, in the order given."""
        paths = list(paths)
        metas = [pydicom.filereader.read_file_meta_info(path) for path in paths]
        kinds = {(m.MediaStorageSOPClassUID, m.TransferSyntaxUID) for m in metas}
        contexts = [build_context(kind, syntax) for kind, syntax in sorted(kinds)]
        with self._associated(contexts) as association:
            for path in paths:
                try:
                    answer = association.send_c_store(path)
                except ValueError as error:
                    raise UserError(f"{self.name} does not take DICOM SEG or SR.") from error
                self._final(answer, "C-STORE")
                yield path

    def _find(self, level: str, asked: Mapping[str, str]) -> list[Dataset]:
        model = StudyRootQueryRetrieveInformationModelFind
        found = []
        with self._associated([build_context(model)]) as association:
            for status, item in association.send_c_find(_query(level, asked), model):
                if status and status.Status in PENDING:
                    found.append(item)
                else:
                    self._final(status, "C-FIND")
        return found

    def _get(self, asked: Dataset) -> None:
        model = StudyRootQueryRetrieveInformationModelGet
        storage = [build_context(kind, syntax) for kind in IMAGES for syntax in SYNTAXES]
        roles = [build_role(kind, scp_role=True) for kind in IMAGES]
        handlers = [(evt.EVT_C_STORE, self._received)]
        with self._associated([build_context(model), *storage], roles, handlers) as association:
            for status, _ in association.send_c_get(asked, model):
                if not status or status.Status not in PENDING:
                    self._final(status, "C-GET")

    def _move(self, asked: Dataset) -> None:
        model = StudyRootQueryRetrieveInformationModelMove
        with self._associated([build_context(model)]) as association:
            for status, _ in association.send_c_move(asked, self.ae.ae_title, model):
                if not status or status.Status not in PENDING:
                    self._final(status, f"C-MOVE to {self.ae.ae_title}")

    def _received(self, event: evt.Event) -> int:
        uid = str(event.request.AffectedSOPInstanceUID)
        try:
            taken = self._keep is not None and self._keep(uid, event.encoded_dataset())
        except OSError:
            return CANNOT_KEEP
        return SUCCESS if taken else NOT_ASKED_FOR

    @contextmanager
    def _associated(self, contexts, roles=(), handlers=()) -> Iterator[Association]:
        tls = _tls_context(self.tls)
        association = self.ae.associate(
            self.address,
            self.port,
            contexts,
            self.ae_title,
            ext_neg=list(roles),
            evt_handlers=list(handlers),
            tls_args=(tls, self.address) if tls else None,
        )
        if association.is_rejected:
            raise UserError(
                f"{self.name} refuses our AE title {self.ae.ae_title}: its administrators must "
                "enter it, and `ae_title` must be the node's own."
            )
        if not association.is_established:
            raise NodeTrouble(
                f"{self.name} does not answer, or refuses our AE title {self.ae.ae_title} or what "
                "is asked"
            )
        try:
            yield association
        finally:
            association.release()

    def _final(self, status: Dataset, service: str) -> None:
        if not status or "Status" not in status:
            raise NodeTrouble(f"{self.name}: the connection broke during {service}")
        if status.Status != SUCCESS and status.Status & 0xF000 != WARNING:
            said = status.get("ErrorComment", "")
            raise NodeTrouble(f"{self.name}: {service} ended with 0x{status.Status:04X} {said}")


def _query(level: str, elements: Mapping[str, str | list[str]]) -> Dataset:
    query = Dataset()
    query.QueryRetrieveLevel = level
    for keyword, value in elements.items():
        setattr(query, keyword, value)
    return query


def _tls_context(tls: Mapping[str, str] | None, ours: bool = False) -> ssl.SSLContext | None:
    """Make the context of a connection that we open, or (`ours`) of our own port."""
    if tls is None:
        return None
    try:
        purpose = ssl.Purpose.CLIENT_AUTH if ours else ssl.Purpose.SERVER_AUTH
        context = ssl.create_default_context(purpose, cafile=tls.get("ca"))
        if tls.get("certificate"):
            context.load_cert_chain(tls["certificate"], tls.get("key"))
    except (OSError, ssl.SSLError) as error:
        raise UserError(f"node: the files of `tls` cannot be used: {error}.") from error
    return context
