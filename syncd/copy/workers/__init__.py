"""The processes that copy: the pool, its messages, and the engine in each worker."""
