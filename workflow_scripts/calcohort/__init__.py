"""Calcium in cardiovascular CT, measured over whole cohorts."""

__version__ = "0.1.0"
