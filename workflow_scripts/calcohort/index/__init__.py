"""The index of an archive: every series under `dicom_root`, from headers alone, incrementally."""
