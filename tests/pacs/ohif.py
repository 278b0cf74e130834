"""The OHIF viewer before an archive: its published build, who serves both, and its handling."""

import http.server
import io
import json
import os
import subprocess
import tarfile
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import requests
from PIL import Image

VERSION = "3.13.2"
LEFT_OUT = ("package/dist/ort/", "package/dist/dicom-microscopy-viewer/")
DICOMWEB = "/dicom-web"
ASKED = ("Accept", "Host")
SOURCE = {
    "namespace": "@ohif/extension-default.dataSourcesModule.dicomweb",
    "sourceName": "archive",
    "configuration": {
        "friendlyName": "archive",
        "name": "archive",
        "wadoUriRoot": DICOMWEB,
        "qidoRoot": DICOMWEB,
        "wadoRoot": DICOMWEB,
        "imageRendering": "wadors",
        "thumbnailRendering": "wadors",
        "omitQuotationForMultipartRequest": True,
        "bulkDataURI": {"enabled": True},
    },
}
CONFIG = {
    "extensions": [],
    "modes": [],
    "showStudyList": True,
    "maxNumberOfWebWorkers": 1,
    "investigationalUseDialog": {"option": "never"},
    "customizationService": [{"ohif.tours": {"$set": []}}],
    "defaultDataSourceName": SOURCE["sourceName"],
    "dataSources": [SOURCE],
}
MEASURE = """() => services.segmentationService.getSegmentations().forEach(each =>
    cornerstoneTools.segmentation.triggerSegmentationEvents
        .triggerSegmentationDataModified(each.segmentationId))"""


class Unavailable(Exception):
    """The viewer cannot be had on this machine; the text says why."""


def fetch(folder: Path) -> Path:
    """Unpack OHIF's build below `folder`, from npm's cache or its registry, without microscopy.

    Raises
    ------
    Unavailable
        Without npm, or where the package cannot be had.
    """
    command = ["npm", "pack", "--silent", "--prefer-offline", f"@ohif/app@{VERSION}"]
    try:
        packed = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)
    except (FileNotFoundError, subprocess.TimeoutExpired) as problem:
        raise Unavailable(f"OHIF {VERSION} cannot be had from npm: {problem}") from problem
    if packed.returncode:
        raise Unavailable(f"OHIF {VERSION} cannot be had from npm: {packed.stderr[-300:]}")
    with tarfile.open(folder / packed.stdout.split()[-1]) as package:
        wanted = [m for m in package if not m.name.startswith(LEFT_OUT)]
        package.extractall(folder, wanted, filter="data")
    return folder / "package/dist"


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the viewer; an address that is none is a page of it; DICOMweb is the archive's."""

    protocol_version = "HTTP/1.1"

    def __init__(self, *arguments, archive: str, credentials: tuple[str, str], **more) -> None:
        self.archive, self.credentials = archive, credentials
        super().__init__(*arguments, **more)

    def do_GET(self) -> None:
        if self.path == "/app-config.js":
            self.answer(200, "text/javascript", f"window.config = {json.dumps(CONFIG)};".encode())
        elif self.path.startswith(DICOMWEB + "/"):
            headers = {name: self.headers[name] for name in ASKED} | {"Accept-Encoding": "identity"}
            url = self.archive + self.path
            got = requests.get(url, headers=headers, auth=self.credentials, timeout=60)
            self.answer(got.status_code, got.headers.get("Content-Type", ""), got.content)
        else:
            super().do_GET()

    def answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def translate_path(self, path: str) -> str:
        found = super().translate_path(path)
        return found if os.path.isfile(found) else os.path.join(self.directory, "index.html")

    def log_message(self, *_) -> None:
        pass


@contextmanager
def served(dist: Path, archive: str, credentials: tuple[str, str]):
    """Serve the viewer on loopback with an archive's DICOMweb behind it; yield the address."""
    handler = partial(_Handler, directory=str(dist), archive=archive, credentials=credentials)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class Viewer:
    """A study open in the viewer, handled as a reader does.

    Parameters
    ----------
    page : playwright.sync_api.Page
        A page of the browser.
    """

    SLOW_MS = 90_000

    def __init__(self, page) -> None:
        self.page = page
        page.set_default_timeout(self.SLOW_MS)

    def open(self, address: str, study_uid: str) -> None:
        """Open a study, and the panel of segmentations beside it."""
        self.page.goto(f"{address}/viewer?StudyInstanceUIDs={study_uid}")
        self.page.locator("[data-cy=study-browser-thumbnail] img").first.wait_for()
        self.page.locator("[data-cy=panelSegmentation-btn]").click()

    def series(self) -> list[str]:
        """Modalities of the study's series, in the viewer's order."""
        return self.page.locator("[data-cy=series-modality-label]").all_inner_texts()

    def open_series(self, number: int) -> None:
        """Double-click a series."""
        self.page.locator(f"[data-series='{number}']").dblclick()

    def load_segmentation(self, number: int, label: str) -> None:
        """Open a SEG series and agree to load it; wait for its segment in the panel."""
        self.open_series(number)
        agree = self.page.get_by_role("button", name="Yes", exact=True)
        agree.wait_for()
        self.settled()
        agree.click()
        self._row(label).wait_for()
        self.settled()

    def toggle(self, label: str) -> None:
        """Hide or show a segment, and wait for the picture to change."""
        before = self.picture()
        self._row(label).locator("[data-cy=data-row-visibility-toggle]").dispatch_event("click")
        for _ in range(60):
            self.page.wait_for_timeout(500)
            if (self.picture() != before).any():
                self.settled()
                return
        raise TimeoutError(f"{label}: the picture stays as it is")

    def statistics(self, label: str) -> dict[str, str]:
        """What the viewer itself measures of a segment: name to number and unit.

        It measures when a segmentation's voxels have changed, which it is told here, as it does
        not always measure what it has just loaded.
        """
        lines = self.page.locator(".segment-statistics-body div.justify-between")
        for _ in range(12):
            self.page.evaluate(MEASURE)
            self.page.wait_for_timeout(2500)
            self._row(label).hover()
            self.page.wait_for_timeout(1500)
            told = lines.all_inner_texts()
            self.page.mouse.move(1, 1)
            if told:
                return dict(line.split("\n", 1) for line in told)
        raise TimeoutError(f"{label}: the viewer tells no statistics")

    def picture(self) -> np.ndarray:
        """RGB of the viewport ``[row, column, 3]``."""
        content = self.page.locator("[data-cy=viewport-pane]").screenshot()
        return np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)

    def settled(self) -> None:
        """Wait until the picture stands still."""
        before = self.picture()
        for _ in range(60):
            self.page.wait_for_timeout(700)
            now = self.picture()
            if (now == before).all():
                return
            before = now
        raise TimeoutError("the picture does not stand still")

    def _row(self, label: str):
        title = self.page.get_by_text(label, exact=True)
        return self.page.locator("[data-cy=data-row]").filter(has=title)
