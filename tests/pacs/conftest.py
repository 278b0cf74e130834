"""The test archive, shared by the tests of this folder."""

import pytest
from orthanc import PASSWORD, USER, Orthanc, Unavailable, install


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory):
    """A running, empty Orthanc; the tests are skipped where none can be had."""
    try:
        install()
    except Unavailable as reason:
        pytest.skip(str(reason))
    archive = Orthanc(tmp_path_factory.mktemp("orthanc"))
    archive.start()
    yield archive
    archive.stop()


@pytest.fixture(autouse=True)
def credentials(monkeypatch):
    """Who we are, as a user sets it before a command."""
    monkeypatch.setenv("CALCOHORT_NODE_USER", USER)
    monkeypatch.setenv("CALCOHORT_NODE_PASSWORD", PASSWORD)
