"""One job from its configuration to its report: ticks, catch-ups, plans and rebuilds."""
