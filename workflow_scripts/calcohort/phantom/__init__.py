"""Scans with known truth: simulated contrast cardiac CT, as DICOM."""
