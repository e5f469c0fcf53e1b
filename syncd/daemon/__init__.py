"""The service: schedules, ticks, reloads, and what it tells the outside."""
