"""Training on a site's own scans: samples, folds by patient, jobs, cross-validation, model card."""

FIGURES = ("dice", "iou", "assd_mm", "hd95_mm", "volume_error_mm3")
"""What a held-out scan is judged by."""
