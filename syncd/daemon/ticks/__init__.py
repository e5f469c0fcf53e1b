"""When each job ticks, and the ticks that are running or paused."""
