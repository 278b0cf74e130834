"""The gallery served to one person on this machine, so that its marks go straight to their file.

The server listens on the loopback address only, and every path begins with a secret token: other
people on the same machine cannot guess it. It gives pages, scripts and pictures, never images of
scans or tables.
"""

import json
import secrets
import threading
from collections.abc import Collection
from datetime import UTC, datetime
from http import HTTPStatus
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from calcohort.outcomes import UserError
from calcohort.reviews import COLUMNS, Review, check_review, read_reviews, write_reviews

LOOPBACK = "127.0.0.1"
HOSTS = {LOOPBACK, "localhost"}
SERVED = {".html", ".js", ".css", ".png"}
LONGEST_BYTES = 10_000


class GalleryServer(ThreadingHTTPServer):
    """A server of one cohort's gallery.

    Parameters
    ----------
    results : Path
        The study's folder.
    reviews : Path
        The table of reviews; made at the first mark.
    scan_ids : collection of str
        The scans of the sheet: no others can be marked.
    port : int
        0 for any free one.

    Attributes
    ----------
    url : str
        Of the gallery, with the token.
    """

    daemon_threads = True

    def __init__(
        self, results: Path, reviews: Path, scan_ids: Collection[str], port: int = 0
    ) -> None:
        super().__init__((LOOPBACK, port), Handler)
        self.results, self.reviews = Path(results), Path(reviews)
        self.scan_ids = frozenset(scan_ids)
        self.token = secrets.token_urlsafe(24)
        self.writing = threading.Lock()
        self.url = f"http://{LOOPBACK}:{self.server_port}/{self.token}/cohort/gallery.html"

    def keep(self, asked: dict[str, Any]) -> Review:
        """Write one mark into the table, or take it out where its verdict is empty.

        Raises
        ------
        ValueError
            Saying what is wrong with the mark.
        UserError
            When the table was damaged meanwhile.
        """
        review = {column: str(asked.get(column) or "") for column in COLUMNS}
        review["time_utc"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
        if review["scan_id"] not in self.scan_ids:
            raise ValueError(f"the sheet has no scan '{review['scan_id']}'")
        if review["verdict"] and (problems := check_review(review)):
            raise ValueError("; ".join(problems))
        with self.writing:
            reviews = read_reviews(self.reviews)
            if review["verdict"]:
                reviews[review["scan_id"]] = review
            else:
                reviews.pop(review["scan_id"], None)
            write_reviews(self.reviews, reviews)
        return review


class Handler(SimpleHTTPRequestHandler):
    """Answers one request, where it knows the token and comes to this machine by its own name."""

    server: GalleryServer
    server_version = "Calcohort"

    def __init__(self, request, address, server: GalleryServer) -> None:
        super().__init__(request, address, server, directory=server.results)

    def do_GET(self) -> None:
        """Give the reviews, or a file."""
        if not self._admitted():
            return
        if self.path == "/reviews":
            self._answer(lambda: list(read_reviews(self.server.reviews).values()))
        elif PurePosixPath(self.path).suffix in SERVED:
            super().do_GET()
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def do_HEAD(self) -> None:
        """Refuse: the gallery never asks so."""
        self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    def do_POST(self) -> None:
        """Keep a mark."""
        if not self._admitted():
            return
        length = int(self.headers.get("Content-Length") or 0)
        is_json = self.headers.get_content_type() == "application/json"
        if self.path != "/reviews" or not is_json or not 0 < length <= LONGEST_BYTES:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return
        body = self.rfile.read(length)
        self._answer(lambda: self.server.keep(dict(json.loads(body))))

    def end_headers(self) -> None:
        """Add what keeps the token and old pages to themselves."""
        self.send_header("Referrer-Policy", "no-referrer")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("X-Content-Type-Options", "nosniff")
        super().end_headers()

    def list_directory(self, path: str) -> None:
        """Refuse to list a folder."""
        self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing: a terminal full of requests hides the address."""

    def _admitted(self) -> bool:
        """Check host and token; leave `path` as the path below the token."""
        host = urlsplit(f"//{self.headers.get('Host', '')}").hostname
        _, token, *below = unquote(urlsplit(self.path).path).split("/")
        known = secrets.compare_digest(token.encode(), self.server.token.encode())
        if host not in HOSTS or not known:
            self.send_error(HTTPStatus.FORBIDDEN)
            return False
        self.path = "/" + "/".join(below)
        return True

    def _answer(self, work) -> None:
        try:
            status, text, kind = HTTPStatus.OK, json.dumps(work()), "application/json"
        except (ValueError, TypeError, UserError, OSError) as problem:
            status, text, kind = HTTPStatus.BAD_REQUEST, str(problem), "text/plain; charset=utf-8"
        content = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
