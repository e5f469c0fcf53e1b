"""The verbs of the proof: verify, and prune-source, which rests on it."""
