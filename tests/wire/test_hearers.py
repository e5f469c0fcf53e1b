"""What hears answers: it may raise, send the next request, give up all others, and takes all the time it likes."""

import gc
import io
import socket
import sys
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest
from builders_copy import MIB, address_of
from raw_server import KEYS, OK, SECONDS, answering, asked, get, head_of, put, sent, serving
from waiting import wait_until

from syncd.aws.s3 import Answer, Request
from syncd.aws.transport import Transport
from syncd.aws.wire import connection, exchange, loop, names, opening, pool, response

ODD = get("k", ("x-odd", "a\r\nb"))
"""A request that cannot be sent."""


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """Errors that reached nobody else."""
    errors: list[BaseException | None] = []
    monkeypatch.setattr(threading, "excepthook", lambda arguments: errors.append(arguments.exc_value))
    return errors


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever takes time takes less."""
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    monkeypatch.setattr(loop, "_SECOND", 0.02)
    monkeypatch.setattr(loop, "_IDLE_SECONDS", 0.05)
    monkeypatch.setattr(pool, "_KEPT_SECONDS", 0.05)
    # The thread stays until it knows that none was late.
    monkeypatch.setattr(opening, "_OPEN_SECONDS", 0.5)


class Hearer:
    """Raises at each answer."""

    def __init__(self, heard: list[str]) -> None:
        self._heard = heard

    def __call__(self, answer: Answer) -> None:
        self._heard.append(answer.code or answer.body.decode())
        raise KeyError("heard")


def send(transport: Transport, url: str, hearer: Hearer, request: Request | None = None) -> None:
    transport.send(request or get(), address_of(url, "bucket"), KEYS, hearer)


def test_a_hearer_that_raises_stops_no_other(shown: list[BaseException | None]) -> None:
    heard: list[str] = []
    transport = Transport()
    with serving(answering()) as server:
        for _ in range(20):
            send(transport, server.url, Hearer(heard))
        wait_until(lambda: len(heard) == 20, what="all answers")

        assert asked(transport, server.url).body == b"body"
    assert heard == ["body"] * 20
    assert len(shown) == 20


def test_all_is_given_up_though_a_hearer_raises(shown: list[BaseException | None]) -> None:
    heard: list[str] = []
    transport = Transport()
    waits = threading.Event()
    with serving(lambda *_: waits.wait() and None) as server:
        for _ in range(5):
            send(transport, server.url, Hearer(heard))
        wait_until(lambda: len(server.connections) == 5, what="the connections")
        transport.abandon()
        wait_until(lambda: len(heard) == 5, what="all answers")
        waits.set()

    assert heard == ["timeout"] * 5
    wait_until(lambda: len(shown) == 5, what="the errors")


@pytest.mark.usefixtures("_quick")
def test_a_name_is_told_to_all_though_a_hearer_raises(
    shown: list[BaseException | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()

    def looked_up(*_: object, **__: object) -> list[object]:
        go_on.wait(SECONDS)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    heard: list[str] = []
    transport = Transport(attempts=1)
    for _ in range(5):
        send(transport, "http://not.there", Hearer(heard))
    go_on.set()
    wait_until(lambda: len(heard) == 5, seconds=5.0, what="all answers")

    assert heard == ["connection_failed"] * 5
    wait_until(lambda: len(shown) == 5, what="the errors")


def test_what_cannot_be_shown_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where standard error is closed, say."""

    def broken(_: object) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(threading, "excepthook", broken)
    heard: list[str] = []
    transport = Transport()
    with serving(answering()) as server:
        send(transport, server.url, Hearer(heard))

        wait_until(lambda: heard == ["body"], what="the answer")
        # What is asked afterwards is answered after the error was shown, or was not.
        assert asked(transport, server.url).body == b"body"


@pytest.mark.parametrize("can_be_sent", [True, False])
def test_a_hearer_may_send_the_next_request_however_many(
    shown: list[BaseException | None], *, can_be_sent: bool
) -> None:
    """Also where nothing can be sent: calls within calls have an end."""
    transport, request = Transport(), get() if can_be_sent else ODD
    codes: list[str] = []
    over = threading.Event()
    with serving(answering()) as server:
        address = address_of(server.url, "bucket")

        def heard(answer: Answer) -> None:
            codes.append(answer.code)
            if len(codes) < 1500:
                transport.send(request, address, KEYS, heard)
            else:
                over.set()

        transport.send(request, address, KEYS, heard)

        assert over.wait(SECONDS)
        assert set(codes) == {"" if can_be_sent else "unexpected_answer"}
        assert len(server.connections) == int(can_be_sent)
    assert shown == []


def test_a_hearer_may_give_up_all_others_and_send_the_next(shown: list[BaseException | None]) -> None:
    """Descriptors that are closed and opened anew among others that are ready."""
    transport = Transport()
    go_on = threading.Event()

    def serve(connection: socket.socket, number: int) -> None:
        head_of(connection)
        if number < 20:
            go_on.wait(SECONDS)
        connection.sendall(OK)

    with serving(serve) as server:
        ended: list[Future[Answer]] = []
        address = address_of(server.url, "bucket")

        def heard(_: Answer) -> None:
            transport.abandon()
            ended.append(sent(transport, server.url))

        for _ in range(20):
            transport.send(get(), address, KEYS, heard)
        wait_until(lambda: len(server.connections) == 20, what="the connections")
        go_on.set()
        wait_until(lambda: len(ended) == 20, what="all answers")

        codes = {each.result(SECONDS).code for each in ended}
        assert codes <= {"", "timeout"}
        assert asked(transport, server.url).body == b"body"
    assert shown == []


def test_a_request_that_cannot_be_sent_takes_no_connection_away(shown: list[BaseException | None]) -> None:
    transport = Transport()
    with serving(answering()) as server:
        for _ in range(5):
            assert asked(transport, server.url).body == b"body"
            assert asked(transport, server.url, ODD).code == "unexpected_answer"

        assert len(server.connections) == 1
    assert shown == []


def test_a_look_up_that_fails_in_any_way_fails_its_requests_and_the_next_one_asks_again(
    monkeypatch: pytest.MonkeyPatch, shown: list[BaseException | None]
) -> None:
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    real, failures = socket.getaddrinfo, [ValueError("embedded null character"), MemoryError(), UnicodeError("label")]

    def looked_up(*arguments: object, **more: object) -> object:
        if failures:
            raise failures.pop()
        return real("127.0.0.1", arguments[1], **more)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with serving(answering()) as server:
        answer = sent(Transport(), f"http://a.name:{server.port}").result(8.0)

    assert answer.body == b"body"
    assert failures == []
    assert shown == []


# What is left behind


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.usefixtures("_quick")
def test_idle_connections_are_closed_and_the_thread_ends_and_starts_anew() -> None:
    transport = Transport()
    with serving(answering()) as server:
        before = descriptors()
        for number in range(1, 4):
            assert asked(transport, server.url).body == b"body"
            wait_until(lambda: transport._loop._thread is None, seconds=10.0, what="the end of the thread")
            assert len(server.connections) == number
        wait_until(lambda: descriptors() <= before, what="the server's ends")


def test_a_thread_that_ends_as_a_request_comes_loses_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_SECOND", 0.0)
    monkeypatch.setattr(loop, "_IDLE_SECONDS", -1.0)
    transport = Transport()

    def send_each(_: int) -> list[str]:
        return [asked(transport, "http://127.0.0.1:1", ODD).code for _ in range(100)]

    with ThreadPoolExecutor(4) as threads:
        codes = [code for each in threads.map(send_each, range(4)) for code in each]

    assert codes == ["unexpected_answer"] * 400


@pytest.mark.usefixtures("_quick")
def test_many_transports_leave_nothing_behind() -> None:
    gc.collect()
    with serving(answering()) as server:
        before, threads = descriptors(), threading.active_count()
        kept = []
        for _ in range(20):
            transport = Transport()
            assert asked(transport, server.url).body == b"body"
            assert asked(transport, "http://127.0.0.1:1").code == "connection_failed"
            kept.append(weakref.ref(transport))
        del transport
        wait_until(lambda: threading.active_count() <= threads, what="the ends of the threads")
        wait_until(lambda: gc.collect() >= 0 and not any(each() for each in kept), what="the ends of the transports")
        wait_until(lambda: descriptors() <= before, what="the server's ends")


def test_an_answer_that_was_handed_over_is_kept_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor until the garbage is collected: bodies are large."""
    responses: list[weakref.ref[object]] = []

    class Seen(response.Response):
        __slots__ = ("__weakref__",)

        def __init__(self, method: str, most_bytes: int) -> None:
            super().__init__(method, most_bytes)
            responses.append(weakref.ref(self))

    monkeypatch.setattr(exchange, "Response", Seen)
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"
    short = b"HTTP/1.1 200 OK\r\nContent-Length: 40\r\n\r\nbody"
    chunks = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
    transport = Transport()
    gc.collect()
    gc.disable()
    try:
        for data in (OK, large, short, chunks, b"SSH-2.0\r\n"):

            def serve(connection: socket.socket, _: int, data: bytes = data) -> None:
                head_of(connection)
                connection.sendall(data)

            with serving(serve) as server:
                asked(transport, server.url)
                # The thread is done with it once it has answered another.
                asked(transport, server.url, ODD)
            assert [each() for each in responses if each() is not None] == []
    finally:
        gc.enable()
    assert len(responses) == 1 + 1 + 6 + 1 + 6


def test_what_was_sent_is_kept_by_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_TOGETHER_BYTES", 0)
    transport, body = Transport(), bytes(8 * MIB)
    go_on = threading.Event()
    gc.collect()
    gc.disable()
    try:
        before = sys.getrefcount(body)
        with serving(lambda connection, _: connection.sendall(OK)) as server:
            # Answered before it is read.
            asked(transport, server.url, put(body))
        with serving(lambda *_: go_on.wait(SECONDS) and None) as server:
            waiting = sent(transport, server.url, put(body))
            transport.abandon()
            waiting.result(SECONDS)
            asked(transport, server.url, ODD)
        assert sys.getrefcount(body) == before
    finally:
        go_on.set()
        gc.enable()


# What a process has run out of


@contextmanager
def no_thread(name: str) -> Iterator[None]:
    """Let no thread of this name start."""
    real = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == name:
            raise RuntimeError("can't start new thread")
        real(thread)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refused)
        yield


def test_without_threads_a_request_fails_and_a_later_one_does_not() -> None:
    transport = Transport()

    with serving(answering()) as server:
        with no_thread("wire"):
            answer = asked(transport, server.url)
        assert (answer.status, answer.code) == (0, "resource_limit")
        assert "can't start new thread" in answer.message
        assert asked(transport, server.url).body == b"body"


def test_without_threads_for_names_requests_fail_and_later_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "_BACKOFF_SECONDS", 0.001)
    transport = Transport()

    with serving(answering()) as server:
        with no_thread("name"):
            answer = asked(transport, f"http://localhost:{server.port}")
        assert (answer.status, answer.code) == (0, "resource_limit")
        assert asked(transport, f"http://localhost:{server.port}").body == b"body"


def test_a_name_that_is_found_when_there_is_no_thread_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's thread may have ended while a look-up took long."""
    places = names.Names(loop.Loop(each_second=lambda: None))
    told: list[object] = []
    real = loop.Loop.call
    refusing = threading.Event()

    def refused(*_: object) -> None:
        refusing.set()
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(loop.Loop, "call", refused)
        places.find("localhost", 80, lambda *found: told.append(found))
        wait_until(refusing.is_set, what="the look-up")
        wait_until(lambda: not any(each.name == "name" for each in threading.enumerate()), what="the thread's end")
    assert loop.Loop.call is real
    assert told == []

    places.find("localhost", 80, lambda *found: told.append(found))
    wait_until(lambda: told, seconds=5.0, what="the look-up")


def test_standard_error_that_is_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    stream.close()
    monkeypatch.setattr(threading, "excepthook", threading.__excepthook__)
    monkeypatch.setattr(sys, "stderr", stream)
    heard: list[str] = []
    transport = Transport()
    with serving(answering()) as server:
        send(transport, server.url, Hearer(heard))
        wait_until(lambda: heard == ["body"], what="the answer")
        assert asked(transport, server.url).body == b"body"


def test_a_loop_whose_thread_was_ended_by_an_error_starts_another(
    monkeypatch: pytest.MonkeyPatch, shown: list[BaseException | None]
) -> None:
    """Without memory, say, outside of what is guarded."""
    called, fails = threading.Event(), [MemoryError()]

    def clock() -> float:
        if fails:
            raise fails.pop()
        return time.monotonic()

    made = loop.Loop(each_second=lambda: False)
    monkeypatch.setattr(loop, "monotonic", clock)
    made.call(lambda: None)
    wait_until(lambda: made._thread is None, what="the end of the thread")
    made.call(called.set)

    assert called.wait(SECONDS)
    assert [type(error) for error in shown] == [MemoryError]


def test_a_thread_that_ends_leaves_the_one_after_it_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next call may start another before the one that was idle has come to its end."""
    monkeypatch.setattr(loop, "_SECOND", 0.01)
    monkeypatch.setattr(loop, "_IDLE_SECONDS", 0.05)
    has_left, go_on, stay = threading.Event(), threading.Event(), threading.Event()
    run, threads = loop.Loop._pass_on, list[int]()

    def passed_on(made: loop.Loop) -> None:
        threads.append(threading.get_ident())
        run(made)
        if len(threads) == 1:
            has_left.set()
            go_on.wait(SECONDS)

    monkeypatch.setattr(loop.Loop, "_pass_on", passed_on)
    made = loop.Loop(each_second=lambda: len(threads) == 2 and not stay.is_set())
    made.call(lambda: None)
    wait_until(lambda: bool(threads), what="the thread")
    first = next(each for each in threading.enumerate() if each.ident == threads[0])
    assert has_left.wait(SECONDS)
    asked = threading.Event()
    made.call(asked.set)
    assert asked.wait(SECONDS)
    go_on.set()
    first.join(SECONDS)
    asked_again = threading.Event()
    made.call(asked_again.set)

    assert asked_again.wait(SECONDS)
    assert len(threads) == 2
    stay.set()
