"""The Methods paragraph of a study, and the references that it cites."""
