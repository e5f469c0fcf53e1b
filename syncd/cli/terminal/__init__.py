"""Output on a terminal: help, progress bars, and the table of `status`."""
