"""Encrypted connections to an archive that asks for them."""

import subprocess

import pytest
from calcohort.node.settings import open_node
from calcohort.outcomes import UserError
from orthanc import Orthanc, Unavailable, install


def make_certificate(path):
    """A key and a certificate of 127.0.0.1 that vouches for itself, in one PEM file."""
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    of = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    key, certificate = path.with_suffix(".key"), path.with_suffix(".crt")
    done = subprocess.run([*command, *of, "-keyout", key, "-out", certificate], capture_output=True)
    assert done.returncode == 0, done.stderr
    path.write_text(key.read_text() + certificate.read_text())
    return path


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    try:
        install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    folder = tmp_path_factory.mktemp("tls")
    archive = Orthanc(folder / "orthanc", make_certificate(folder / "both.pem"))
    archive.start()
    yield archive
    archive.stop()


def node_of(orthanc, way, tls):
    return open_node((orthanc.dimse() if way == "dimse" else orthanc.web()) | {"tls": tls})


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_an_encrypted_node_answers_who_shows_the_certificate(orthanc, way):
    pem = str(orthanc.certificate)
    node = node_of(orthanc, way, {"ca": pem, "certificate": pem, "key": pem})
    with node.opened():
        assert node.studies({"PatientID": "P1"}) == []


@pytest.mark.parametrize("way", ["dimse", "web"])
def test_a_node_whom_nobody_vouches_for_is_refused(orthanc, way, tmp_path):
    stranger = str(make_certificate(tmp_path / "stranger.pem"))
    pem = str(orthanc.certificate)
    node = node_of(orthanc, way, {"ca": stranger, "certificate": pem, "key": pem})
    with pytest.raises(UserError, match="check `tls`|does not answer"), node.opened():
        pass


def test_a_missing_certificate_is_told(orthanc):
    node = node_of(orthanc, "dimse", {"ca": "nowhere.pem"})
    with pytest.raises(UserError, match="the files of `tls` cannot be used"), node.opened():
        pass
