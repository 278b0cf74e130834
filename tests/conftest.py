"""What all tests share: the same examples at every run, however slow the machine; a browser."""

import pytest
from chromium import find_chromium, running
from hypothesis import settings

settings.register_profile("calcohort", deadline=None, derandomize=True)
settings.load_profile("calcohort")


@pytest.fixture(scope="session")
def browser():
    """A running Chromium; the tests are skipped where none can be had."""
    path = find_chromium()
    if not path:
        pytest.skip("no Chromium: install Debian's package chromium to run the tests of the pages")
    pytest.importorskip("playwright")
    with running(path) as chromium:
        yield chromium
