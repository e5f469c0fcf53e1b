"""Hints: a message that an object is there brings it within the second, and no message does any harm."""

from datetime import datetime, timedelta
from mailbox import Mailbox, s3_event
from time import monotonic
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from servers import MakeClient, S3Server
from service import Service
from waiting import wait_until

B, C = ACCOUNTS[0], ACCOUNTS[1]


def mailbox_on(server: S3Server, make_client: MakeClient, name: str = "hints") -> Mailbox:
    keys = {"access_key_id": server.access_key_id, "secret_access_key": server.secret_access_key}
    return Mailbox(server, make_client(server.url, "sqs", **keys), name)


@pytest.fixture
def mailbox(ministack: S3Server, make_client: MakeClient) -> Mailbox:
    return mailbox_on(ministack, make_client)


def log(now: datetime, number: int, account: str = B, region: str = REGIONS[0]) -> Delivery:
    return Trail().log(account, region, now, number, late=timedelta())


def begun(service: Service, mailbox: Mailbox, now: datetime, *names: str, **changes: Any) -> None:
    """Jobs that tick once an hour, in regions that have a log already."""
    service.configure({"hints": {"queues": [mailbox.url], "settle": "1s"}})
    for name in names or ("account-b",):
        service.job(name, {"every": "1h", **changes})
    accounts = [
        account for account in (B, C) for name in names or ("account-b",) if name.endswith(("b", "z")[account == C])
    ]
    service.deliver(
        *(log(now - timedelta(minutes=20), 0, account, region) for account in (B, C) for region in REGIONS[:2])
    )


def test_a_latency(service: Service, mailbox: Mailbox, now: datetime) -> None:
    begun(service, mailbox, now)
    with service.running(mailbox.environment) as daemon:
        daemon.wait_for("tick.finished", job="account-b")
        lags = []
        for n in range(20):
            began = monotonic()
            (key,) = service.deliver(log(datetime.now(now.tzinfo), n))
            mailbox.send([s3_event(service.world.bucket, key)])
            wait_until(lambda: key in service.replica("account-b"), what=key)
            lags.append(monotonic() - began)
        print(sorted(lags))
        print(daemon.told("tick.finished")[-1])
        print(service.status()[1])
        print([l for l in daemon.get("/metrics")[1].splitlines() if "hint" in l and "#" not in l])
        assert daemon.stopped() == 0
    assert 0
