"""Whether a job keeps its objective, and how `syncd status` reports it."""
