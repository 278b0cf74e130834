"""Encrypted connections to an archive that asks for them."""

import contextlib
import socket
import socketserver
import ssl
import subprocess
import threading

import pytest
from calcohort.node.settings import open_node
from calcohort.outcomes import UserError
from orthanc import Orthanc, Unavailable, install

TOLD = "the encrypted connection fails|does not answer"


def make_certificate(path):
    """A key and a certificate of 127.0.0.1 that vouches for itself, in one PEM file."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    of = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    done = subprocess.run([*command, *of, "-keyout", key, "-out", certificate], capture_output=True)
    assert done.returncode == 0, done.stderr
    path.write_text(key.read_text() + certificate.read_text())
    return path


class HttpsFront(socketserver.ThreadingTCPServer):
    """HTTPS before an archive's HTTP, as hospitals have it: it asks for a certificate."""

    daemon_threads = True

    def __init__(self, pem, port):
        super().__init__(("127.0.0.1", 0), self.Pass)
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=pem)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_cert_chain(pem)
        self.behind = ("127.0.0.1", port)

    class Pass(socketserver.BaseRequestHandler):
        def handle(self):
            with contextlib.suppress(OSError):
                outside = self.server.context.wrap_socket(self.request, server_side=True)
                inside = socket.create_connection(self.server.behind)
                threading.Thread(target=self.pump, args=(inside, outside), daemon=True).start()
                self.pump(outside, inside)

        @staticmethod
        def pump(one, other):
            with contextlib.suppress(OSError):
                while data := one.recv(65536):
                    other.sendall(data)


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return str(make_certificate(tmp_path_factory.mktemp("tls") / "both.pem"))


@pytest.fixture(scope="module")
def nodes(pem, tmp_path_factory):
    """Config of an encrypted archive by DIMSE and by DICOMweb, without `tls`."""
    try:
        install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"), pem)
    archive.start()
    with HttpsFront(pem, archive.http_port) as front:
        threading.Thread(target=front.serve_forever, daemon=True).start()
        url = f"https://127.0.0.1:{front.server_address[1]}/dicom-web"
        yield {"dimse": archive.dimse(), "web": {"url": url}}
        front.shutdown()
    archive.stop()


WAYS = pytest.mark.parametrize("way", ["dimse", "web"])


@WAYS
def test_who_shows_the_certificate_is_answered(nodes, way, pem):
    node = open_node(nodes[way] | {"tls": {"ca": pem, "certificate": pem, "key": pem}})
    with node.opened():
        assert node.studies({"PatientID": "P1"}) == []


@WAYS
def test_who_shows_none_is_refused_in_a_sentence(nodes, way, pem):
    node = open_node(nodes[way] | {"tls": {"ca": pem}})
    with pytest.raises(UserError, match=TOLD), node.opened():
        pass


@WAYS
def test_an_archive_whom_nobody_vouches_for_is_refused(nodes, way, pem, tmp_path):
    stranger = str(make_certificate(tmp_path / "stranger.pem"))
    node = open_node(nodes[way] | {"tls": {"ca": stranger, "certificate": pem, "key": pem}})
    with pytest.raises(UserError, match=TOLD), node.opened():
        pass


@WAYS
def test_a_missing_certificate_is_told(nodes, way):
    with pytest.raises(UserError, match=r"node\.tls\.ca, nowhere\.pem, does not exist"):
        open_node(nodes[way] | {"tls": {"ca": "nowhere.pem"}})


def test_a_file_that_is_no_certificate_is_told(nodes, tmp_path):
    (tmp_path / "ca.pem").write_text("no certificate")
    node = open_node(nodes["dimse"] | {"tls": {"ca": str(tmp_path / "ca.pem")}})
    with pytest.raises(UserError, match="files of `tls` cannot be used"), node.opened():
        pass
