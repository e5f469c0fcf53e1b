"""What is answered over HTTP: health, readiness, and pages that anybody can read."""

import http.client
import json
import random
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from html.parser import HTMLParser
from http import HTTPStatus
from pathlib import Path

import pytest
from job_health import NOW, REFUSED, SHARD, board, health, held, late, report
from jobs import job

from syncd.daemon.board import JobBoard
from syncd.daemon.web.gauges import Gauges
from syncd.daemon.web.messages import Reply
from syncd.daemon.web.metrics import Metrics
from syncd.daemon.web.page import chart_words
from syncd.daemon.web.server import WebServer
from syncd.daemon.web.site import Site
from syncd.job.health.health import JobHealth, Pulse
from syncd.job.health.progress import Progress
from syncd.ledger.ledger import LedgerFile
from syncd.model.errors import LedgerCorrupt
from syncd.model.objects import Failed, LogObject, ShardState, Transfer
from syncd.tick.scope import replica_of

JOB = job("account-b", source__accounts=["222222222222"])
INCOMPLETE = health("incomplete", held=1, oldest_held=held(), held_reasons={"kms_access_denied": 1})
STARTING = health("new", last=None, complete_until=0.0, running=Progress(kind="tick", began_at=NOW - 9, at=NOW - 1))
FAILED_TICK = report(outcome="failed", started_at=NOW - 10, error=REFUSED)


class Page(HTMLParser):
    """A page's text, and what a person who does not see it needs to know."""

    VOID = frozenset({"meta", "input"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.unbalanced: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.unbalanced.append(tag)

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def ledger_file(tmp_path: Path) -> LedgerFile:
    return LedgerFile(tmp_path, now=lambda: NOW)


def site(jobs: JobBoard, ledger_file: LedgerFile, *, stuck: str | None = None, unready: str | None = None) -> Site:
    return Site(
        jobs,
        Metrics(lambda: Gauges(now=NOW, healths=jobs.healths())),
        ledger_file,
        find_job={JOB.name: JOB}.get,
        stuck_reason=lambda: stuck,
        unready_reason=lambda: unready,
        now=lambda: NOW,
    )


def page(reply: Reply | None) -> Page:
    assert reply is not None
    assert reply.content_type == "text/html; charset=utf-8"
    return Page(reply.body.decode())


def remember(ledger_file: LedgerFile) -> None:
    """A job with a shard on time, a quiet one, one that is behind, a tick, and an object that is missing."""
    quiet, behind = (SHARD._replace(prefix=f"AWSLogs/222222222222/CloudTrail/{name}/", region=name) for name in "qz")
    with ledger_file.open(replica_of(JOB), JOB.name) as ledger:
        ledger.set_start(1.0)
        listed = {"listed_at": NOW - 60, "complete_until": NOW - 1860}
        ledger.save_shards(
            [
                ShardState(shard=SHARD, newest_arrival=NOW - 90, **listed),  # type: ignore[arg-type]
                ShardState(shard=quiet, newest_arrival=NOW - 90_000, **listed),  # type: ignore[arg-type]
                ShardState(shard=behind, listed_at=NOW - 9000, complete_until=NOW - 10_800, newest_arrival=NOW - 9100),
            ],
            discovered_at=NOW - 60,
        )
        item = LogObject(SHARD.prefix + "2026/11/24/<x>.json.gz", "etag", 10, NOW - 500)
        ledger.record([Failed(Transfer(SHARD, item, item.key), "kms_access_denied", "GetObject: 403")], [], now=NOW)
        ledger.record_tick(report(copied=4), kind="tick")


def test_the_pages_are_there_where_the_state_cannot_be_read(ledger_file: LedgerFile) -> None:
    remember(ledger_file)
    body = ledger_file.path.read_bytes()
    ledger_file.path.write_bytes(body[:100] + random.Random(1).randbytes(len(body) - 100))
    answering = site(board(health()), ledger_file)

    replies = {path: answering.answer(path, {}) for path in ("/", "/readyz", "/freshz", "/healthz", "/jobs/account-b")}

    assert {path: reply and reply.status for path, reply in replies.items()} == {
        "/": HTTPStatus.OK,
        "/readyz": HTTPStatus.OK,
        "/freshz": HTTPStatus.OK,
        "/healthz": HTTPStatus.OK,
        "/jobs/account-b": HTTPStatus.SERVICE_UNAVAILABLE,
    }
    told = replies["/jobs/account-b"]
    assert told is not None
    assert b"database disk image is malformed" in told.body
    assert LedgerCorrupt.remedy.encode() in told.body


def test_health_is_the_daemons_and_not_its_jobs(ledger_file: LedgerFile) -> None:
    reply = site(board(late()), ledger_file).answer("/healthz", {})

    assert reply is not None
    assert (reply.status, json.loads(reply.body)) == (HTTPStatus.OK, {"alive": True, "why": None})


def test_a_daemon_that_is_stuck_says_why(ledger_file: LedgerFile) -> None:
    reply = site(board(), ledger_file, stuck="the scheduler is silent").answer("/healthz", {})

    assert reply is not None
    assert (reply.status, json.loads(reply.body)["why"]) == (503, "the scheduler is silent")


def test_readiness_is_the_daemons_and_not_its_jobs(ledger_file: LedgerFile) -> None:
    ready = site(board(late()), ledger_file).answer("/readyz", {})
    unready = site(board(health()), ledger_file, unready="the daemon is starting").answer("/readyz", {})

    assert ready is not None
    assert unready is not None
    assert (ready.status, json.loads(ready.body)) == (HTTPStatus.OK, {"ready": True, "why": None})
    assert (unready.status, json.loads(unready.body)["why"]) == (503, "the daemon is starting")


def test_jobs_that_are_all_on_time_are_fresh(ledger_file: LedgerFile) -> None:
    reply = site(board(health("a"), health("b")), ledger_file).answer("/freshz", {})

    assert reply is not None
    document = json.loads(reply.body)
    assert (reply.status, document["fresh"], document["job_count"]) == (HTTPStatus.OK, True, 2)
    assert [item["objective"] for item in document["jobs"]] == ["met", "met"]


def test_a_late_job_is_named_first_with_its_reasons(ledger_file: LedgerFile) -> None:
    reply = site(board(health("a"), late("z", last=report(error=REFUSED))), ledger_file).answer("/freshz", {})

    assert reply is not None
    document = json.loads(reply.body)
    assert (reply.status, document["late"], document["late_count"]) == (503, ["z"], 1)
    assert [item["job"] for item in document["jobs"]] == ["z", "a"]
    assert document["jobs"][0]["why"][-1] == "what to do: mend <the> policy"


def test_the_overview_has_the_troubled_jobs_first_with_what_to_do(ledger_file: LedgerFile) -> None:
    jobs = board(
        health("fine"),
        health("incomplete", held=2, oldest_held=held(), held_reasons={"kms_access_denied": 2}),
        late("stale", last=report(outcome="failed", error=REFUSED)),
    )

    found = page(site(jobs, ledger_file).answer("/", {}))

    assert "2 of 3 jobs need attention: 1 late, 1 incomplete" in found.text
    assert [link["href"] for link in found.all("a") if "/jobs/" in str(link["href"])] == [
        "/jobs/stale",
        "/jobs/incomplete",
        "/jobs/fine",
    ]
    assert "What to do:  mend <the> policy" in found.text
    assert "let the principal named here use the key" in found.text
    assert "2 objects are known and not at the destination" in found.text
    assert "kms_access_denied: GetObject: 403" in found.text


@pytest.mark.parametrize(
    ("healths", "expected"),
    [
        ([INCOMPLETE], "1 of 1 job needs attention: 1 incomplete"),
        ([INCOMPLETE, health("a")], "1 of 2 jobs needs attention: 1 incomplete"),
        ([INCOMPLETE, health("a", last=FAILED_TICK)], "2 of 2 jobs need attention: 1 failing, 1 incomplete"),
        ([INCOMPLETE, late("z")], "2 of 2 jobs need attention: 1 late, 1 incomplete"),
        ([STARTING, health("a")], "Nothing is wrong with 2 jobs: 1 starting, 1 healthy"),
        ([health("a"), health("b")], "All 2 jobs are healthy"),
    ],
)
def test_the_headline_has_the_trouble_first(healths: list[JobHealth], expected: str, ledger_file: LedgerFile) -> None:
    found = page(site(board(*healths), ledger_file).answer("/", {}))

    assert expected in found.words


def test_a_tick_that_could_not_be_recorded_is_the_last_one_until_the_next_was() -> None:
    jobs = board(health())
    jobs.take_report(FAILED_TICK)
    jobs.put(health())
    during = jobs.healths()[0].error
    jobs.put(health(last=report(started_at=NOW - 1)))

    assert during == REFUSED
    assert jobs.healths()[0].error is None


def test_a_page_of_a_job_has_the_tick_that_could_not_be_recorded(ledger_file: LedgerFile) -> None:
    remember(ledger_file)
    jobs = board(health())
    jobs.take_report(FAILED_TICK)

    found = page(site(jobs, ledger_file).answer("/jobs/account-b", {}))

    assert "What to do:  mend <the> policy" in found.text


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [(["ok"], "no tick failed"), (["failed", "ok"], "1 tick failed"), (["failed"] * 7, "7 ticks failed")],
)
def test_the_row_of_bars_says_how_many_ticks_failed(outcomes: list[str], expected: str) -> None:
    assert chart_words([Pulse(NOW, 1.0, 0, outcome) for outcome in outcomes]).endswith(f"; {expected}")


@pytest.mark.parametrize("path", ["/", "/jobs/account-b"])
def test_a_page_is_whole_and_can_be_read_without_seeing_it(path: str, ledger_file: LedgerFile) -> None:
    remember(ledger_file)

    found = page(site(board(health("account-b"), late("b")), ledger_file).answer(path, {}))

    assert (found.unbalanced, found.open) == ([], [])
    assert found.all("html")[0]["lang"] == "en"
    assert len(found.all("h1")) == len(found.all("main")) == 1
    assert all("scope" in cell for cell in found.all("th"))
    assert len(found.all("table")) == len(found.all("caption"))
    assert len(found.all("svg")) == len(found.all("title")) - 1
    assert all(image["role"] == "img" for image in found.all("svg"))
    assert found.all("a")[0] == {"href": "#content", "class": "skip"}
    assert not found.all("script")
    assert not any("style" in attributes for _, attributes in found.elements)


def test_a_job_page_tells_the_shard_that_is_behind_from_the_one_that_is_quiet(ledger_file: LedgerFile) -> None:
    remember(ledger_file)

    found = page(site(board(), ledger_file).answer("/jobs/account-b", {}))

    states = [word for word in found.words if word in ("behind", "quiet", "on time", "not listed yet")]
    assert states == ["behind", "on time", "quiet"]
    assert "From s3://example-trail/ of account 111111111111 by arn:aws:iam::111111111111:role/Test" in found.text
    assert "AWSLogs/222222222222/CloudTrail/eu-west-1/2026/11/24/<x>.json.gz" in found.text
    assert "GetObject: 403" in found.text


def test_a_job_page_of_a_job_that_never_ticked_is_a_page(ledger_file: LedgerFile) -> None:
    found = page(site(board(), ledger_file).answer("/jobs/account-b", {}))

    assert "It has never ticked" in found.text


def test_a_state_that_cannot_be_read_is_said(ledger_file: LedgerFile, tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(b"no database" * 1000)

    reply = site(board(), ledger_file).answer("/jobs/account-b", {})

    assert reply is not None
    assert reply.status == HTTPStatus.SERVICE_UNAVAILABLE


@pytest.mark.parametrize("path", ["/jobs/nobody", "/jobs/", "/favicon.ico", "/etc/passwd", ""])
def test_there_is_nothing_else(path: str, ledger_file: LedgerFile) -> None:
    assert site(board(), ledger_file).answer(path, {}) is None


def test_a_thousand_jobs_are_paged_and_searched(ledger_file: LedgerFile) -> None:
    jobs = board(*(health(f"customer-{number:04d}") for number in range(1000)), late("zebra"))
    answers = site(jobs, ledger_file)

    first, last = page(answers.answer("/", {})), page(answers.answer("/", {"page": "11"}))
    found = page(answers.answer("/", {"q": "customer-05"}))

    assert "Page 1 of 11" in first.text
    assert first.text.index("zebra") < first.text.index("customer-0000")
    assert "customer-0999" in last.text
    assert "100 jobs" in found.text


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"page": "x"}, {"page": "9" * 50}, {"q": '"><script>'}, {"refresh": "1"}]
)
def test_whatever_is_asked_for_is_answered_with_a_page(query: dict[str, str], ledger_file: LedgerFile) -> None:
    found = page(site(board(*(health(f"a{number}") for number in range(12))), ledger_file).answer("/", query))

    assert found.unbalanced == []
    assert found.all("script") == []


def test_refreshing_is_offered_and_not_forced(ledger_file: LedgerFile) -> None:
    answers = site(board(health()), ledger_file)

    still = page(answers.answer("/", {}))
    moving = page(answers.answer("/", {"refresh": "1"}))

    assert not any("http-equiv" in item for item in still.all("meta"))
    assert any(item.get("http-equiv") == "refresh" for item in moving.all("meta"))


@pytest.fixture
def server(ledger_file: LedgerFile) -> Iterator[WebServer]:
    web_server = WebServer(("127.0.0.1", 0), site(board(health()), ledger_file).answer)
    yield web_server
    web_server.close()


def ask(server: WebServer, method: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(server.address, timeout=30)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, {name.lower(): text for name, text in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_answers_forbid_what_the_pages_do_not_need(server: WebServer) -> None:
    status, headers, _ = ask(server, "GET", "/?q=a%20b")

    assert status == 200
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert headers["server"].strip() == "syncd"


def test_head_is_answered_without_a_body(server: WebServer) -> None:
    status, headers, body = ask(server, "HEAD", "/metrics")

    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "TRACE"])
def test_nothing_can_be_changed(server: WebServer, method: str) -> None:
    status, headers, _ = ask(server, method, "/")

    assert (status, headers["allow"]) == (405, "GET, HEAD")


def test_an_address_that_is_taken_is_refused(server: WebServer) -> None:
    host, _, port = server.address.rpartition(":")

    with pytest.raises(OSError, match="in use"):
        WebServer((host, int(port)), lambda _path, _query: None)


def test_an_ipv6_address_is_listened_on() -> None:
    web_server = WebServer(("::1", 0), lambda _path, _query: Reply(b"hello", "text/plain"))
    try:
        assert ask(web_server, "GET", "/")[2] == b"hello"
    finally:
        web_server.close()


def test_times_are_shown_in_utc(ledger_file: LedgerFile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()

    found = page(site(board(health()), ledger_file).answer("/", {}))
    monkeypatch.undo()
    time.tzset()

    assert f"{datetime.fromtimestamp(NOW - 1862, UTC):%Y-%m-%d %H:%M}" in found.text
