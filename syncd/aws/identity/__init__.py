"""Credentials: the consumer's own, and the role they assume."""
