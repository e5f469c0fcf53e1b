"""`syncd check`: each permission tried for real, with the statement that would allow it."""
