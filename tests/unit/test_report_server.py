"""The gallery's server: for one person on this machine, and careful with the file it writes."""

import json
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest
from calcohort.report.server import LONGEST_BYTES, GalleryServer
from calcohort.reviews import read_reviews


@pytest.fixture
def server(tmp_path):
    results = tmp_path / "results"
    (results / "cohort").mkdir(parents=True)
    (results / "cohort/gallery.html").write_text("the gallery")
    (results / "cohort/scans.csv").write_text("a table")
    (tmp_path / "secret.html").write_text("outside")
    made = GalleryServer(results, tmp_path / "reviews.csv", [f"s{n}" for n in range(20)])
    threading.Thread(target=made.serve_forever, daemon=True).start()
    yield made
    made.shutdown()
    made.server_close()


def ask(url, body=None, **headers):
    """Status and text of the answer; a `body` is posted as JSON."""
    data = None if body is None else json.dumps(body).encode()
    headers = ({"Content-Type": "application/json"} if body is not None else {}) | headers
    request = urllib.request.Request(url, data=data, headers=headers)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as problem:
        return problem.code, problem.read().decode()


def base(server):
    return server.url.removesuffix("/cohort/gallery.html")


def mark(server, **review):
    return ask(f"{base(server)}/reviews", {"scan_id": "s1", "verdict": "rejected"} | review)


def test_it_listens_on_this_machine_only_and_gives_the_gallery(server):
    assert server.server_address[0] == "127.0.0.1"
    assert ask(server.url) == (200, "the gallery")


def test_without_the_token_nothing_is_given_or_written(server):
    for token in ("", "guess/", f"{server.token[:-1]}/"):
        url = f"http://127.0.0.1:{server.server_port}/{token}"
        assert ask(f"{url}cohort/gallery.html")[0] == 403
        assert ask(f"{url}reviews", {"scan_id": "s1", "verdict": "rejected"})[0] == 403
    assert not server.reviews.exists()


def test_a_foreign_name_of_this_machine_is_refused(server):
    assert ask(server.url, Host="evil.example")[0] == 403
    assert ask(server.url, Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/cohort/scans.csv",
        "/cohort/",
        "/../secret.html",
        "/%2e%2e/secret.html",
        "/cohort/none.html",
    ],
)
def test_tables_folders_and_what_is_outside_are_not_given(server, path):
    assert ask(base(server) + path)[0] == 404


def test_a_mark_is_written_with_the_servers_time_and_can_be_taken_back(server):
    status, text = mark(server, comment="cut", reviewer="AB", time_utc="1999-01-01T00:00:00Z")
    assert status == 200
    (kept,) = read_reviews(server.reviews).values()
    assert kept == json.loads(text)
    assert (kept["verdict"], kept["comment"], kept["reviewer"]) == ("rejected", "cut", "AB")
    assert kept["time_utc"] > "2026"
    assert json.loads(ask(f"{base(server)}/reviews")[1]) == [kept]
    assert mark(server, verdict="")[0] == 200
    assert read_reviews(server.reviews) == {}


@pytest.mark.parametrize(
    ("review", "told"),
    [
        ({"scan_id": "unknown"}, "the sheet has no scan 'unknown'"),
        ({"verdict": "maybe"}, "'maybe' is not one of"),
        ({"comment": "x" * 1001}, "too long"),
    ],
)
def test_a_wrong_mark_is_refused_with_a_reason(server, review, told):
    status, text = mark(server, **review)
    assert status == 400 and told in text
    assert not server.reviews.exists()


def test_other_bodies_are_refused(server):
    url = f"{base(server)}/reviews"
    assert ask(url, {"scan_id": "s1"}, **{"Content-Type": "text/plain"})[0] == 400
    assert ask(url, "x" * LONGEST_BYTES)[0] == 400
    assert ask(url, [1, 2])[0] == 400


def test_a_damaged_file_is_not_overwritten(server):
    server.reviews.write_text("not a table of reviews\n")
    status, text = mark(server)
    assert status == 400 and "missing" in text
    assert server.reviews.read_text() == "not a table of reviews\n"


def test_marks_at_the_same_time_are_all_kept(server):
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: mark(server, scan_id=f"s{n}"), range(20)))
    assert {status for status, _ in answers} == {200}
    assert len(read_reviews(server.reviews)) == 20
