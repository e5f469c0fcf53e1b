"""A ping while all is well, and silence otherwise."""

import threading
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from waiting import wait_until

from syncd.config.tables.webhooks import Address
from syncd.daemon.log.repeats import RepeatedProblems
from syncd.daemon.notify.heartbeat import Beat, Heartbeat
from syncd.daemon.web.server import Reply, WebServer
from syncd.model import events


def beat(job: str, url: str) -> Beat:
    return Beat(job, Address(url, None))


class Receiver:
    """Somebody who waits for the pings, and what was said of them."""

    def __init__(self) -> None:
        self.paths: list[str] = []
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.status = HTTPStatus.OK
        self.beats: tuple[Beat, ...] = ()
        self.unwell: set[str] = set()
        self.asked = threading.Event()
        self.problems = RepeatedProblems(
            lambda event, **facts: self.told.append((event, facts)), now=lambda: 0.0, monotonic=lambda: 0.0
        )
        self.server = WebServer(("127.0.0.1", 0), self.answer)
        self.heartbeat = Heartbeat(self.well, self.problems, every_seconds=0.02)

    @property
    def url(self) -> str:
        return f"http://{self.server.address}/ping/secret-token"

    def answer(self, path: str, _query: object) -> Reply:
        self.paths.append(path)
        return Reply(b"", "text/plain", self.status)

    def well(self) -> list[Beat]:
        self.asked.set()
        return [beat for beat in self.beats if beat.job not in self.unwell]

    def follow(self, *beats: Beat) -> None:
        self.beats = beats
        self.heartbeat.follow(beats)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.heartbeat.close()
    receiver.server.close()


def test_while_all_is_well_the_url_is_called_again_and_again(receiver: Receiver) -> None:
    receiver.follow(beat("", receiver.url))

    wait_until(lambda: len(receiver.paths) >= 3, what="three pings")

    assert set(receiver.paths) == {"/ping/secret-token"}
    assert receiver.told == []


def test_where_all_is_not_well_there_is_silence(receiver: Receiver) -> None:
    receiver.unwell = {""}
    receiver.follow(beat("", receiver.url))
    receiver.asked.wait(30)
    receiver.asked.clear()
    receiver.asked.wait(30)

    assert receiver.paths == []


def test_a_ping_that_fails_is_told_once_without_the_url_and_its_recovery_too(receiver: Receiver) -> None:
    receiver.status = HTTPStatus.NOT_FOUND
    receiver.follow(beat("", receiver.url))
    wait_until(lambda: len(receiver.paths) >= 3, what="three pings")
    receiver.status = HTTPStatus.OK
    wait_until(lambda: len(receiver.told) >= 2, what="the recovery")

    (failed, facts), (recovered, _) = receiver.told
    assert (failed, facts["reason"]) == (events.HEARTBEAT_FAILED, "HTTP 404")
    assert recovered == events.HEARTBEAT_RECOVERED
    assert "secret-token" not in str(receiver.told)


def test_a_url_that_leads_nowhere_is_told_without_the_url(receiver: Receiver) -> None:
    receiver.follow(beat("", "http://127.0.0.1:9/secret-token"))

    wait_until(lambda: receiver.told, what="the complaint")

    assert receiver.told[0] == (events.HEARTBEAT_FAILED, {"reason": "URLError"})


def test_no_url_is_no_ping_and_another_url_is_followed_at_once(receiver: Receiver) -> None:
    receiver.follow()
    receiver.follow(beat("", receiver.url.replace("secret", "first")))
    wait_until(lambda: receiver.paths, what="a ping")

    receiver.follow(beat("", receiver.url.replace("secret", "second")))

    wait_until(lambda: "/ping/second-token" in receiver.paths, what="a ping of the other")


def test_each_job_has_its_own_url_which_falls_silent_alone(receiver: Receiver) -> None:
    receiver.unwell = {"b", ""}
    beats = [beat(job, receiver.url.replace("ping", job or "all")) for job in ("", "a", "b", "c")]
    receiver.follow(*beats)

    wait_until(lambda: len(receiver.paths) >= 6, what="three rounds")

    assert set(receiver.paths) == {"/a/secret-token", "/c/secret-token"}


def test_a_url_of_a_job_that_fails_is_told_with_the_job(receiver: Receiver) -> None:
    receiver.follow(beat("a", receiver.url), beat("b", "http://127.0.0.1:9/secret-token"))

    wait_until(lambda: receiver.told and receiver.paths, what="the complaint, and the other job's call")

    assert receiver.told == [(events.HEARTBEAT_FAILED, {"reason": "URLError", "job": "b"})]


def test_a_url_in_a_file_is_read_at_each_call(receiver: Receiver, tmp_path: Path) -> None:
    file = tmp_path / "url"
    of_file = [Beat(job, Address(None, file), is_shared=True) for job in ("a", "b")]
    receiver.follow(*of_file)
    wait_until(lambda: len(receiver.told) == 2, what="two complaints")

    replaced(file, f"{receiver.url}\n")
    wait_until(lambda: len(receiver.told) == 4, what="two complaints that nothing names the job")
    replaced(file, f"{receiver.url}/{{job}}\n")
    wait_until(lambda: len(receiver.told) == 6, what="two recoveries")

    reasons = sorted(str(facts.get("reason")) for _, facts in receiver.told[:4])
    assert reasons[0] == reasons[1] == "its file cannot be read: FileNotFoundError"
    assert reasons[2] == "several jobs have the file, and the URL in it has no {job}"
    assert {"/ping/secret-token/a", "/ping/secret-token/b"} <= set(receiver.paths)
    assert "secret-token" not in str(receiver.told)


def replaced(file: Path, text: str) -> None:
    """Writes a file that is read all the time: nobody sees half of it."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.rename(file)
