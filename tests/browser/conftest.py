"""Pages that tell what they asked for and complained of."""

import pytest
from study import make_study

DRIVER_REMARK = "GPU stall due to ReadPixels"


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
