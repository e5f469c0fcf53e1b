"""The verbs that copy: run, tick, catch-up, plan and work."""
