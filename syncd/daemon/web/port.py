"""The status port as configured: opened, tried again if its address is taken, and closed."""

from syncd.config.tables.settings import Http
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.web.server import Respond, WebServer
from syncd.model import events


class StatusPort:
    """The web server at the configured address. Used by the main thread alone. The server has threads of its own."""

    def __init__(self, respond: Respond, problems: RepeatedProblems, *, reserved: tuple[str, ...]) -> None:
        self._respond = respond
        self._problems = problems
        self._reserved = reserved
        self._http: Http | None = None
        self._server: WebServer | None = None

    @property
    def address(self) -> str | None:
        """The address it listens on, or None."""
        return self._server.address if self._server else None

    def follow(self, http: Http) -> None:
        """Listen as configured. A port that listens so already stays open."""
        if http != self._http:
            self.close()
            self._http = http
        self.listen()

    def listen(self) -> None:
        """Listen, unless the port is open or none is configured. A failure is logged, and the next call tries again."""
        if self._http is None or self._http.address is None or self._server is not None:
            return
        http = self._http
        try:
            self._server = WebServer(
                self._http.address, self._respond, hosts=http.hosts, reserved=self._reserved, on_defect=self._crashed
            )
        except OSError as error:
            reason = error.strerror or type(error).__name__
            self._problems.log(events.HTTP_UNAVAILABLE, listen=http.listen, reason=reason)
        else:
            self._problems.resolve(events.HTTP_UNAVAILABLE)
            self._problems.log(events.HTTP_LISTENING, address=self._server.address)

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def _crashed(self, path: str, error: Exception) -> None:
        self._problems.log(
            events.HTTP_CRASHED, path=path, reason=type(error).__name__, detail=str(error), exc_info=error
        )
