"""One request under way: the callbacks of AWS's C runtime, and their Answer.

The runtime bounds no answer, so one that is larger than its operation can have is dropped here.
"""

import ctypes
import re
import threading
from collections.abc import Callable, Mapping
from time import monotonic
from types import SimpleNamespace
from typing import Any

from awscrt import s3

from syncd.aws import answers
from syncd.aws.s3 import Address, Answer, Request, error_of
from syncd.aws.wire.connections import Host
from syncd.aws.wire.response_limits import Traffic
from syncd.model.reasons import Reason

# The largest page: a thousand rows with keys of 1,024 bytes, each written as %XX, have 3.4 MB.
LISTING_BYTES = 4 * 1024**2
# The largest other answer but an object's body, and the largest header block. S3's own have a few kilobytes.
ANSWER_BYTES = 64 * 1024

_thread = threading.local()


class _Unheard:
    """A future and an event that nobody waits for.

    The runtime's binding makes both for each request, with three locks. They took a twelfth of a small copy.
    """

    __slots__ = ()

    def set(self) -> None:
        """Tell nobody."""

    def set_result(self, _: object) -> None:
        """Tell nobody."""

    def set_exception(self, _: object) -> None:
        """Tell nobody: `on_done` gets the error too."""


# A later binding that has other names for them is as good, only slower.
for _name, _stand_in in (("Future", _Unheard), ("threading", SimpleNamespace(Event=_Unheard))):
    setattr(s3, _name, _stand_in)


def _keep_thread_state() -> None:
    """Keep the interpreter's state of the calling thread until the thread ends.

    The thread is the runtime's. That holds Python's lock for the length of a callback only, so the interpreter would make a thread state,
    with a stack mapped and unmapped, for each: more than all else that Python does for a request. One more Ensure than
    Release keeps it (https://docs.python.org/3/c-api/init.html#c.PyGILState_Ensure). The callback's own Release frees
    the lock.
    """
    if not hasattr(_thread, "is_kept"):
        _thread.is_kept = True
        ctypes.pythonapi.PyGILState_Ensure()


class HostTraffic:
    """Bytes asked of one server so far, and received. Counted by the sending threads and the runtime's."""

    __slots__ = (
        "_lock",
        "address",
        "answered_at",
        "begun_bytes",
        "ended_bytes",
        "handed_over_bytes",
        "host",
        "looked_at",
    )

    def __init__(self, host: Host, address: Address) -> None:
        self.host = host
        self.address = address
        self.answered_at = self.looked_at = float("-inf")
        """Monotonic times of its last answer, and of the last look at its certificate."""
        self.begun_bytes = self.ended_bytes = self.handed_over_bytes = 0
        self._lock = threading.Lock()

    def begin(self, most_bytes: int) -> None:
        """Count a request whose answer may have so many bytes."""
        with self._lock:
            self.begun_bytes += most_bytes

    def end(self, most_bytes: int, handed_over_bytes: int) -> None:
        """Count its end, and the bytes that came."""
        with self._lock:
            self.ended_bytes += most_bytes
            self.handed_over_bytes += handed_over_bytes

    def traffic(self) -> Traffic:
        """Return all counts so far."""
        with self._lock:
            return Traffic(self.begun_bytes, self.ended_bytes, self.handed_over_bytes)


class Exchange:
    """One request under way. Drops the runtime's request when done: the two would keep each other alive."""

    __slots__ = (
        "_answered",
        "_chunks",
        "_code_canceled",
        "_handed_over_bytes",
        "_headers",
        "_hearers",
        "_most_bytes",
        "_operation",
        "_request",
        "_status",
        "_under_way",
        "_why_canceled",
        "allowed_seconds",
        "deadline",
        "host_traffic",
    )

    def __init__(
        self,
        under_way: dict[int, "Exchange"],
        request: Request,
        host_traffic: HostTraffic,
        on_answer: Callable[[Answer], None],
        allowed_seconds: float,
    ) -> None:
        self.allowed_seconds = allowed_seconds
        self.deadline = monotonic() + allowed_seconds
        self._why_canceled = ""
        self._code_canceled: str = Reason.TIMEOUT
        self.host_traffic = host_traffic
        self._most_bytes = ANSWER_BYTES
        if request.operation == "ListObjectsV2":
            self._most_bytes = LISTING_BYTES
        elif request.operation == "GetObject":
            self._most_bytes += request.expected_bytes
        self._under_way = under_way
        self._operation = request.operation
        # Whoever takes it out answers: the runtime, or `give_up` on another thread.
        self._hearers: list[Callable[[Answer], None]] = [on_answer]
        self._request: s3.S3Request | None = None
        self._status = 0
        self._headers: Mapping[str, str] = {}
        self._chunks: list[bytes] = []
        self._answered = False
        self._handed_over_bytes = 0

    def begin(self, request: s3.S3Request) -> None:
        """Count the request, which the runtime has begun and may have ended."""
        self._request = request
        self.host_traffic.begin(self._most_bytes)
        self._under_way[id(self)] = self
        if self._answered:
            self._close()

    def cancel(self, why: str, code: str = Reason.TIMEOUT) -> None:
        """Cancel the request. Its answer has this code and message."""
        request = self._request
        if request is not None:
            if not self._why_canceled:
                self._why_canceled, self._code_canceled = why, code
            request.cancel()

    def give_up(self, why: str, code: str) -> None:
        """Hand over an answer of this code and message now. The runtime may take half a minute to cancel a request."""
        request = self._request
        if request is not None:
            request.cancel()
            self._hand_over(Answer(0, {}, b"", code, why))

    def _hand_over(self, answer: Answer) -> None:
        try:
            on_answer = self._hearers.pop()
        except IndexError:
            return
        self._close()
        on_answer(answer)

    @property
    def began_at(self) -> float:
        """The monotonic time at which it was sent."""
        return self.deadline - self.allowed_seconds

    def on_headers(self, status_code: int, headers: list[tuple[str, str]], **_: Any) -> None:
        """Keep status and headers."""
        self._status = status_code
        self._headers = {name.lower(): value for name, value in headers}

    def on_body(self, chunk: bytes, offset: int, **_: Any) -> None:
        """Keep a piece of the body."""
        del offset
        _keep_thread_state()
        self._chunks.append(chunk)

    def on_done(
        self, error: Any, error_headers: Any, error_body: bytes | None, status_code: int | None, **_: Any
    ) -> None:
        """Hand over the answer."""
        _keep_thread_state()
        if error_headers is not None:
            self._headers = {name.lower(): value for name, value in error_headers}
        body = error_body if error_body is not None else b"".join(self._chunks)
        self._handed_over_bytes = len(body)
        if status_code or self._status:
            self.host_traffic.answered_at = monotonic()
        answer = self._too_large(body, status_code or self._status)
        if answer is None:
            answer = self._answer(error, status_code or self._status, body)
        self._answered = True
        self._hand_over(answer)

    def _too_large(self, body: bytes, status: int) -> Answer | None:
        """Return an answer in place of one that is too large, or None."""
        headers_bytes = sum(map(len, self._headers)) + sum(map(len, self._headers.values()))
        if headers_bytes > ANSWER_BYTES:
            what = f"a header block of {headers_bytes} bytes"
        # The reader of an object checks the length of its body.
        elif len(body) > self._most_bytes and (self._operation != "GetObject" or not 200 <= status < 300):
            what = f"an answer of {len(body)} bytes"
        else:
            return None
        return Answer(0, {}, b"", Reason.UNEXPECTED, what)

    def _answer(self, error: Any, status: int, body: bytes) -> Answer:
        if error is None and 200 <= status < 300:
            code, message = ("", "") if self._operation == "GetObject" else error_of(body)
            return Answer(status, self._headers, body, code, message)
        code, message = error_of(body)
        if not code and error is not None:
            name = getattr(error, "name", type(error).__name__)
            status, code = answers.RUNTIME_ERRORS.get(name, (status, "" if status else Reason.CONNECTION))
            if name == "AWS_ERROR_S3_CANCELED":
                code, message = self._code_canceled, self._why_canceled
            elif name == "AWS_ERROR_S3_INVALID_RESPONSE_STATUS":
                message = "no reason given"
            else:
                message = str(getattr(error, "message", error))
        return Answer(status, self._headers, body, code or str(status), message)

    def _close(self) -> None:
        if self._under_way.pop(id(self), None) is not None:
            self.host_traffic.end(self._most_bytes, self._handed_over_bytes)
        self._request = None
        self._chunks = []


_TOKEN_BEGINS = 16
"""Characters that are enough to recognise a token."""


def without_token(on_answer: Callable[[Answer], None], token: str) -> Callable[[Answer], None]:
    """Hide the session token in answers: a server may repeat it, and answers are logged."""

    def hear(answer: Answer) -> None:
        if answer.code or answer.message:
            repeated = re.compile(re.escape(token[:_TOKEN_BEGINS]) + r"\S*")
            code, message = (repeated.sub("(not shown)", text) for text in (answer.code, answer.message))
            answer = answer._replace(code=code, message=message)
        on_answer(answer)

    return hear
