"""Continuous verification: each digest is checked as it arrives, and the logs that it names."""
