"""The state file: what was copied, what was not, and how far each shard was listed."""
