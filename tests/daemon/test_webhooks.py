"""What happens to a job is told to services: in their own forms, in order, without the secrets, and without a tick waiting."""

import json
import signal
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from faulty import Status
from service import Service
from waiting import wait_until

from syncd.daemon.notify.templates import News, healthchecks, pagerduty, plain, slack

NEWS = News(
    "fail",
    "acme",
    "222222222222",
    "2026-11-27T12:00:00Z",
    health="failing",
    outcome="failed",
    reason="access_denied",
    detail="AssumeRole: <!channel> not authorized",
    remedy="run `syncd check acme`",
)


class Receiver:
    """A server that takes calls, and refuses those to /broken."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, bytes]] = []
        self.refuses: set[str] = set()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.calls.append((self.path, body))
                is_refused = any(self.path.startswith(path) for path in outer.refuses)
                self.send_response(404 if is_refused else 200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing to the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def paths(self, below: str) -> list[str]:
        return [path for path, _ in list(self.calls) if path.startswith(below)]

    def documents(self, path: str) -> list[dict[str, Any]]:
        return [json.loads(body) for called, body in list(self.calls) if called == path]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


def test_a_job_that_fails_and_recovers_is_told_to_each_service_in_its_form(
    service: Service, receiver: Receiver, now: datetime
) -> None:
    service.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], now - timedelta(minutes=10)))
    secrets = {
        "url": f"{receiver.url}/hc-secret/{{job}}?create=1",
        "slack": f"{receiver.url}/slack-secret",
        "key": "R0UT1NG",
    }
    for name, text in secrets.items():
        (service.folder / name).write_text(f"{text}\n")
    service.configure(
        {
            "defaults.webhooks.healthchecks.url_file": str(service.folder / "url"),
            "defaults.webhooks.slack.url_file": str(service.folder / "slack"),
            "defaults.webhooks.pagerduty": {"key_file": str(service.folder / "key"), "url": f"{receiver.url}/pd"},
            "defaults.webhooks.json": {"url": f"{receiver.url}/gone-secret", "on": ["start"]},
            "log.level": "debug",
        }
    )
    receiver.refuses = {"/gone-secret"}
    fault = service.server.faults.add(service.assumes("account-b"), Status(403, "AccessDenied", "not authorized"))
    service.job("account-b", {"every": "1s"})

    with service.running() as daemon:
        daemon.wait_for("tick.failed")
        wait_until(lambda: receiver.documents("/pd"), what="an incident")
        service.server.faults.remove(fault)
        daemon.send(signal.SIGHUP)
        wait_until(lambda: len(receiver.documents("/pd")) >= 2, what="its end")
        wait_until(lambda: len(receiver.documents("/slack-secret")) >= 2, what="the good news")
        shown = [daemon.get(path)[1] for path in ("/", "/jobs/account-b", "/metrics", "/freshz")]
        assert daemon.stopped() == 0

    pings = receiver.paths("/hc-secret")
    assert pings[:2] == ["/hc-secret/account-b/start?create=1", "/hc-secret/account-b/fail?create=1"]
    assert "/hc-secret/account-b?create=1" in pings[2:]
    bad, good = receiver.documents("/slack-secret")[:2]
    assert "account-b is" in bad["text"]
    assert "AccessDenied" in bad["text"] or "not authorized" in bad["text"]
    assert "account-b is well again" in good["text"]
    trigger, resolve = receiver.documents("/pd")[:2]
    assert (trigger["event_action"], resolve["event_action"]) == ("trigger", "resolve")
    assert trigger["dedup_key"] == resolve["dedup_key"]
    assert trigger["routing_key"] == "R0UT1NG"
    assert trigger["payload"]["severity"] == "error"
    failed = [event for event in daemon.events if event["event"] == "webhook.failed"]
    assert [(event["webhook"], event["reason"]) for event in failed] == [("json", "HTTP 404")]
    told = str(daemon.events) + "".join(shown)
    assert [word for word in ("hc-secret", "slack-secret", "R0UT1NG", "gone-secret") if word in told] == []


def test_a_ping_keeps_the_query_and_slack_reads_no_foreign_markup() -> None:
    start = replace(NEWS, event="start")

    assert healthchecks("https://hc-ping.com/k/acme?create=1", start).url == "https://hc-ping.com/k/acme/start?create=1"
    assert healthchecks("https://hc-ping.com/k/", replace(NEWS, event="ok")).url == "https://hc-ping.com/k"
    assert "&lt;!channel&gt;" in json.loads(slack("https://x", NEWS).body)["text"]
    assert json.loads(plain("https://x", NEWS).body)["remedy"] == "run `syncd check acme`"


@pytest.mark.parametrize(
    ("event", "action", "severity"), [("fail", "trigger", "error"), ("conflict", "trigger", "critical")]
)
def test_an_incident_has_one_key_and_ends_by_it(event: Any, action: str, severity: str) -> None:
    begun = json.loads(pagerduty("https://x", "key", replace(NEWS, event=event, detail="x" * 5000)).body)
    ended = json.loads(pagerduty("https://x", "key", replace(NEWS, event="recovered")).body)

    assert (begun["event_action"], begun["payload"]["severity"]) == (action, severity)
    assert len(begun["payload"]["summary"]) <= 1024
    assert (ended["event_action"], ended["dedup_key"]) == ("resolve", begun["dedup_key"])
    assert "payload" not in ended
