"""The copy workers of an installation, which can be started before all else is loaded."""

from syncd.config.job import Configuration, Settings
from syncd.copy.workers.pool import WorkerPool


def pool_of(settings: Settings) -> WorkerPool:
    """Return the pool of workers, none of them started."""
    engine = settings.engine
    return WorkerPool(
        workers=engine.workers,
        confine=engine.confine,
        in_flight=engine.in_flight,
        memory_bytes=engine.memory,
        requests_per_second=engine.requests_per_second,
        bytes_per_second=engine.bytes_per_second,
    )


def started(configuration: Configuration) -> WorkerPool:
    """Return the pool with its workers on their way. A catch-up mostly has something to copy, a tick mostly has not."""
    pool = pool_of(configuration.settings)
    if configuration.jobs:
        pool.begin(streams=any(job.destination.copy_mode != "server-side" for job in configuration.jobs))
    return pool
