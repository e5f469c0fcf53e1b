"""Lines of the log for terminals, and problems that are logged once."""
