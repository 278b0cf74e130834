"""Results as DICOM objects of the scan's own study: masks as SEG, measurements as SR."""
