"""Phantoms: simplified contrast cardiac CT with known truth."""
