"""Faults that are injected while the installed program works, and what became of its jobs."""
