"""Chromium without a window and without a graphics card."""

import os
import shutil
import subprocess
from contextlib import contextmanager

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


@contextmanager
def running(path: str):
    """Yield a running Chromium, driven by playwright."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield chromium
        chromium.close()
