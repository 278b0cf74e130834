"""A hospital's archive (PACS): ask it for studies, fetch their images, store results."""
