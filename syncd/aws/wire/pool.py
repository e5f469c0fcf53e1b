"""Connections that are kept for the next request. All of it runs on the loop's thread."""

from time import monotonic

from syncd.aws.wire.connection import Connection
from syncd.aws.wire.loop import Loop
from syncd.aws.wire.names import Names
from syncd.aws.wire.servers import Server

# S3 closes connections that are idle for longer than about this.
_KEPT_SECONDS = 15.0
_MOST_KEPT = 512


class Pool:
    """The connections that nobody uses now, by server."""

    def __init__(self, loop: Loop) -> None:
        self._loop = loop
        self._names = Names(loop)
        self._idle: dict[Server, list[Connection]] = {}

    def take(self, server: Server, *, is_new: bool) -> Connection:
        """Return the connection that was used last, or a new one if it has to be, or none is kept."""
        kept = self._idle.get(server)
        while kept and not is_new:
            connection = kept.pop()
            if connection.is_closed:
                continue
            # What comes unasked, such as a 408, is no answer to the next request. To look takes 2 us.
            if not connection.has_more:
                return connection
            connection.close()
        return Connection(self._loop, self._names, server, self._keep)

    def expire(self) -> bool:
        """Close those that were idle for too long. Returns True if any are left."""
        latest = monotonic() - _KEPT_SECONDS
        for server, kept in list(self._idle.items()):
            # Those that were used last are at the end.
            while kept and (kept[0].is_closed or kept[0].moved_at < latest or len(kept) > _MOST_KEPT):
                kept.pop(0).close()
            if not kept:
                del self._idle[server]
        return bool(self._idle)

    def _keep(self, connection: Connection) -> None:
        self._idle.setdefault(connection.server, []).append(connection)
