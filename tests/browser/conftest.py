"""Chromium without a window, and pages that tell what they asked for and complained of."""

import os
import shutil
import subprocess

import pytest
from study import make_study

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
)
DRIVER_REMARK = "GPU stall due to ReadPixels"


def find_chromium() -> str | None:
    """Chromium's path; root installs it where it is missing and there is apt."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found or os.geteuid() != 0 or not shutil.which("apt-get"):
        return found
    apt = ["apt-get", "-q", "-y", "-o", "DPkg::Lock::Timeout=300"]
    install = [*apt, "install", "--no-install-recommends", "chromium"]
    for command in (install, [*apt, "update"], install):
        subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}, check=False)
    return shutil.which("chromium")


@pytest.fixture(scope="session")
def browser():
    """A running Chromium; the tests are skipped where none can be had."""
    path = find_chromium()
    if not path:
        pytest.skip("no Chromium: install Debian's package chromium to run the tests of the pages")
    api = pytest.importorskip("playwright.sync_api")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser):
    """A page that remembers requests and complaints, and must have none of the latter."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    opened = context.new_page()
    opened.requests, opened.complaints = [], []
    opened.on("request", lambda request: opened.requests.append(request.url))
    opened.on("pageerror", lambda error: opened.complaints.append(str(error)))
    opened.on(
        "console",
        lambda said: (
            said.type in ("error", "warning")
            and DRIVER_REMARK not in said.text
            and opened.complaints.append(said.text)
        ),
    )
    yield opened
    complaints = opened.complaints
    context.close()
    assert not complaints


@pytest.fixture(scope="session")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    make_study(folder)
    return folder
