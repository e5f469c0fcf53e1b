"""The replica held against the source and the ledger: for layouts without digests, and before anything is pruned."""
