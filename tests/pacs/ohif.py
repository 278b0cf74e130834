"""The OHIF viewer before an archive: its published build, and who serves both on one address."""

import http.server
import json
import os
import subprocess
import tarfile
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests

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
