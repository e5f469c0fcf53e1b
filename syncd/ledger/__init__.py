"""The state file: objects copied and not copied, and each shard's cursor."""
