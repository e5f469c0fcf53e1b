"""The health of a job: its state, its freshness, the judgement, and `syncd status`."""
