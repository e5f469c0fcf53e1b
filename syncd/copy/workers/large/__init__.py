"""Large bodies: moved from one connection to another, past the engine."""
