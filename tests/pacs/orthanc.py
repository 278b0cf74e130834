"""A real Orthanc on loopback for the tests: its own folder, free ports, DICOMweb, a password.

Debian's orthanc, its DICOMweb plug-in, and the validators of dcmtk and dicom3tools are installed
where they are missing.
"""

import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import requests

PACKAGES = ("orthanc", "orthanc-dicomweb", "dcmtk", "dicom3tools")
PROGRAMS = ("Orthanc", "dsrdump", "dciodvfy")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
USER, PASSWORD = "calcohort", "loopback"
START_S = 60


class Unavailable(Exception):
    """Orthanc cannot be had on this machine; the text says why."""


def install() -> None:
    """Install Orthanc and the validators where they are missing; no service is started.

    Raises
    ------
    Unavailable
        Without root rights or apt.
    """
    if all(map(shutil.which, PROGRAMS)) and PLUGIN.exists():
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Unavailable("Orthanc is not installed, and installing it needs root rights and apt")
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    packages = ["install", "--no-install-recommends", *PACKAGES]
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in ([*apt, *packages], [*apt, "update"], [*apt, *packages]):
        if subprocess.run(command, env=quiet).returncode == 0 and "install" in command:
            return
    raise Unavailable(f"apt-get could not install {', '.join(PACKAGES)}")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Orthanc:
    """An Orthanc that ends with this process.

    Parameters
    ----------
    folder : Path
        Its storage, configuration and log.
    certificate : Path, optional
        PEM of key and certificate: DICOM connections are then encrypted, and only from who shows
        the same certificate. (With HTTPS Debian's Orthanc 1.10.1 ends in a segmentation fault.)
    """

    def __init__(self, folder: Path, certificate: Path | None = None) -> None:
        self.folder = folder
        self.storage = folder / "storage"
        self.storage.mkdir(parents=True)
        self.http_port, self.dicom_port, self.our_port = (free_port() for _ in range(3))
        self.url = f"http://127.0.0.1:{self.http_port}"
        settings = {
            "StorageDirectory": str(self.storage),
            "IndexDirectory": str(self.storage),
            "HttpPort": self.http_port,
            "DicomPort": self.dicom_port,
            "DicomAet": "ORTHANC",
            "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": False,
            "DicomAlwaysAllowFind": True,
            "DicomAlwaysAllowMove": True,
            "AuthenticationEnabled": True,
            "RegisteredUsers": {USER: PASSWORD},
            "DicomModalities": {"us": ["CALCOHORT", "127.0.0.1", self.our_port]},
            "MaximumStorageCacheSize": 0,
            "Plugins": [str(PLUGIN)],
            "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        }
        if certificate:
            pem = str(certificate)
            settings |= {
                "DicomTlsEnabled": True,
                "DicomTlsCertificate": pem,
                "DicomTlsPrivateKey": pem,
                "DicomTlsTrustedCertificates": pem,
            }
        (folder / "orthanc.json").write_text(json.dumps(settings))
        self.process: subprocess.Popen | None = None

    def start(self) -> None:
        """Start, and wait until it answers."""
        log = (self.folder / "log.txt").open("a")
        command = ["setpriv", "--pdeathsig", "TERM", "Orthanc", str(self.folder / "orthanc.json")]
        self.process = subprocess.Popen(command, stdout=log, stderr=log)
        end = time.monotonic() + START_S
        while True:
            try:
                return self.get("/system")
            except requests.ConnectionError:
                if time.monotonic() > end or self.process.poll() is not None:
                    raise TimeoutError((self.folder / "log.txt").read_text()[-2000:]) from None
                time.sleep(0.2)

    def stop(self) -> None:
        """Stop; the storage stays."""
        self.process.terminate()
        self.process.wait(20)

    def get(self, path: str) -> requests.Response:
        """GET a resource of Orthanc's own interface."""
        answer = requests.get(self.url + path, auth=(USER, PASSWORD), timeout=30)
        answer.raise_for_status()
        return answer

    def instances(self, modality: str) -> list[str]:
        """Orthanc's ids of the instances of all series of a modality."""
        series = [self.get(f"/series/{one}").json() for one in self.get("/series").json()]
        chosen = [one for one in series if one["MainDicomTags"].get("Modality") == modality]
        return [instance for one in chosen for instance in one["Instances"]]

    def find(self, sop_instance_uid: str) -> str:
        """Orthanc's id of an instance."""
        tools = f"{self.url}/tools/lookup"
        answer = requests.post(tools, data=sop_instance_uid, auth=(USER, PASSWORD), timeout=30)
        return answer.json()[0]["ID"]

    def delete(self, instance: str) -> None:
        """Delete an instance."""
        path = f"{self.url}/instances/{instance}"
        requests.delete(path, auth=(USER, PASSWORD), timeout=30).raise_for_status()

    def dimse(self, move: bool = False) -> dict:
        """The config's `node` for this Orthanc by DIMSE."""
        node = {"address": "127.0.0.1", "port": self.dicom_port, "ae_title": "ORTHANC"}
        return node | ({"our_port": self.our_port} if move else {})

    def web(self) -> dict:
        """The config's `node` for this Orthanc by DICOMweb."""
        return {"url": f"{self.url}/dicom-web"}
