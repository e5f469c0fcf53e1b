"""The jobs that want an object that a hint names."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from syncd.config.job import Job
from syncd.daemon.hints.shapes import Hint
from syncd.model.keys.place import shard_of_key
from syncd.model.keys.trail import Scope, is_ignored
from syncd.tick.scope import scope_of, source_prefixes


class _Route(NamedTuple):
    """The part of a bucket that one job wants."""

    job: str
    prefixes: tuple[str, ...]
    scope: Scope | None
    ignore: Sequence[str]


class Routes:
    """The jobs by the buckets that they read. Never changed, only replaced."""

    def __init__(self, jobs: Sequence[Job]) -> None:
        self._by_bucket: defaultdict[str, list[_Route]] = defaultdict(list)
        for job in jobs:
            route = _Route(job.name, tuple(source_prefixes(job)), scope_of(job), job.source.ignore)
            self._by_bucket[job.source.bucket].append(route)

    def jobs(self, hint: Hint) -> Iterator[tuple[str, str]]:
        """Yield each job that wants the object, and the prefix of its shard."""
        for route in self._by_bucket.get(hint.bucket, ()):
            if hint.key.startswith(route.prefixes):
                shard = _shard(hint.key, route)
                if shard is not None:
                    yield route.job, shard


def _shard(key: str, route: _Route) -> str | None:
    if route.scope is None:
        return None if is_ignored(key, route.ignore) else ""
    shard = shard_of_key(key, route.scope)
    return None if shard is None else shard.prefix
