"""What people look at: pictures, pages of scans, the gallery and the report."""

from pathlib import Path

FOLDER = Path(__file__).parent
ASSETS = [path for name in ("assets", "vendor") for path in sorted((FOLDER / name).iterdir())]
"""What the gallery and the pages of scans share: style, scripts, NiiVue with its licences."""
