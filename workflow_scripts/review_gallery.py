"""Look through a study's pictures in a browser and mark them; the marks go to `reviews`.

Served on this machine only. On another machine, tunnel the port: ssh -L PORT:127.0.0.1:PORT HOST
"""

import argparse
import sys
from pathlib import Path

from calcohort.outcomes import UserError
from calcohort.report.server import GalleryServer
from calcohort.reviews import read_reviews
from calcohort.study import read_config, read_scan_ids, read_settings


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--configfile", type=Path, help="as snakemake's: laid over config.yaml")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    return parser.parse_args(arguments)


def open_server(configfile: Path | None, port: int) -> GalleryServer:
    """Make the server of a study whose gallery is written.

    Raises
    ------
    UserError
        When there is no gallery yet, the reviews are damaged, or the port is taken.
    """
    settings = read_settings(read_config(configfile))
    results = Path(settings["results"])
    if not (results / "cohort/gallery.html").is_file():
        raise UserError(f"{results}/cohort has no gallery.html yet; run snakemake first.")
    read_reviews(settings["reviews"])
    scan_ids = read_scan_ids(settings["sheet"])
    try:
        return GalleryServer(results, Path(settings["reviews"]), scan_ids, port)
    except OSError as problem:
        raise UserError(f"Port {port} cannot be used: {problem.strerror}.") from problem


if __name__ == "__main__":
    asked = parse()
    try:
        server = open_server(asked.configfile, asked.port)
    except UserError as problem:
        sys.exit(f"review_gallery: {problem}")
    print(f"Gallery: {server.url}\nMarks go to {server.reviews}. Ctrl-C ends.", flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        print()
