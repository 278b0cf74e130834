"""What people look at: a picture of every scan, the flow of scans, and the report's page."""
