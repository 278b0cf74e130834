"""DICOM with one named defect each, and what becomes of it: what a front door must withstand."""
