"""Whether calcium goes with something: outcomes, groups, and how many scans a study needs."""
