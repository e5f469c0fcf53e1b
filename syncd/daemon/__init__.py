"""The service: schedules, ticks, reloads, and notifications to the outside."""
