"""What goes into a paper: Methods, references, tables and figures, and how to make them again."""
