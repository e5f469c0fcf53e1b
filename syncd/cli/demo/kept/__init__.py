"""A demo that was left running: its daemon, and troubles to watch."""
