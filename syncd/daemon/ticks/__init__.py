"""The ticks that are running, and the jobs that are paused."""
