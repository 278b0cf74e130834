"""From DICOM (or NIfTI) to a checked CT volume: find, choose, judge, convert, pseudonymise."""
