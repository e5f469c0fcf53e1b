"""Calls to STS with bounds: bytes per answer, header block included, and seconds per call.

botocore bounds the wait for each piece of an answer, not for the whole, and reads however much comes. A timer shuts the
connection down, since a TLS handshake or a header can come byte by byte too.
"""

import io
from http.client import HTTPResponse
from threading import local
from typing import Any

from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
)
from botocore.exceptions import BotoCoreError, ReadTimeoutError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from syncd.aws.wire.timed_call import TimedCall

CONNECT_SECONDS = 10.0
CALL_SECONDS = 20.0
# The largest real answer is a session whose token has a few kilobytes.
ANSWER_BYTES = 64 * 1024
_under_way = local()


class AnswerTooLongError(BotoCoreError):
    """An answer larger than any of STS."""

    fmt = "more than {most} bytes came, which is no answer of STS"


class _Call(TimedCall):
    """One call to STS."""

    is_too_long = False


class _Counted(io.RawIOBase):
    """A stream that raises an error after so many bytes."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream = stream
        self._left = most

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read1(len(buffer))
        self._left -= len(data)
        if self._left < 0:
            _under_way.call.is_too_long = True
            raise OSError("too long")
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()


class _Response(HTTPResponse):
    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.fp = io.BufferedReader(_Counted(self.fp, ANSWER_BYTES))


class _Bounded:
    """Mixin that adds the bounds to botocore's HTTP connections."""

    sock: Any

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.response_class = self._original_response_cls = _Response

    def _new_conn(self) -> Any:
        connected = super()._new_conn()  # type: ignore[misc]  # urllib3's
        _under_way.call.uses(connected)
        return connected

    def request(self, *args: Any, **more: Any) -> Any:
        if self.sock is not None:
            # The connection was left open by the call before.
            _under_way.call.uses(self.sock)
        return super().request(*args, **more)  # type: ignore[misc]  # botocore's


class _HttpConnection(_Bounded, AWSHTTPConnection):  # type: ignore[misc]  # its stubs disagree among themselves
    pass


class _HttpsConnection(_Bounded, AWSHTTPSConnection):  # type: ignore[misc]  # likewise
    pass


class _HttpPool(AWSHTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(AWSHTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


class BoundedSession(URLLib3Session):
    """Session that sends requests as botocore does, within the bounds. Safe to use from any thread."""

    def __init__(self, *, seconds: float = CALL_SECONDS, **more: Any) -> None:
        super().__init__(**more)
        self._seconds = seconds
        self._pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}
        self._manager.pool_classes_by_scheme = self._pool_classes_by_scheme  # type: ignore[attr-defined]

    def send(self, request: Any) -> Any:
        """Send one request and read its answer.

        Raises:
            AnswerTooLongError: the answer is too large. botocore does not retry this.
            BotoCoreError: no answer came, or it took too long.
        """
        call = _under_way.call = _Call(self._seconds)
        try:
            return super().send(request)
        except BotoCoreError as error:
            if call.is_too_long:
                raise AnswerTooLongError(most=ANSWER_BYTES) from None
            if call.is_late:
                raise ReadTimeoutError(
                    endpoint_url=request.url, error=f"not whole after {self._seconds:.0f} s"
                ) from error
            raise
        finally:
            call.close()


def session_to(url: str, *, authorities: str) -> BoundedSession:
    """Return a session for a server. `authorities` is a file of certificates, or empty."""
    return BoundedSession(
        verify=authorities or True, proxies=get_environ_proxies(url), timeout=(CONNECT_SECONDS, CALL_SECONDS)
    )


def bound(client: Any, *, authorities: str) -> None:
    """Make a botocore client send all its requests within the bounds."""
    session = session_to(client.meta.endpoint_url, authorities=authorities)
    client.meta.events.register("before-send.*.*", lambda request, **_: session.send(request))
