"""Slots: several daemons share the jobs, and one that ends or hangs is replaced."""

import contextlib
import json
import os
import signal
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import FaultyS3
from servers import MakeClient, S3Server
from service import Running, Service
from waiting import wait_until

B, C = ACCOUNTS[0], ACCOUNTS[1]


class Store:
    """The bucket of the leases."""

    def __init__(self, server: S3Server, client: Any) -> None:
        self.server, self._client = server, client
        self.bucket = server.fresh_bucket_name()
        client.create_bucket(Bucket=self.bucket)

    @property
    def environment(self) -> dict[str, str]:
        keys = {"AWS_ACCESS_KEY_ID": self.server.access_key_id, "AWS_SECRET_ACCESS_KEY": self.server.secret_access_key}
        return {**keys, "AWS_ENDPOINT_URL_S3": self.server.url, "AWS_REGION": "us-east-1"}

    def lease(self, slot: int = 0) -> Any:
        with contextlib.closing(self._client.get_object(Bucket=self.bucket, Key=f"fleet/{slot}.json")["Body"]) as body:
            return json.loads(body.read())


@pytest.fixture
def store(ministack: S3Server, make_client: MakeClient) -> Store:
    keys = {"access_key_id": ministack.access_key_id, "secret_access_key": ministack.secret_access_key}
    return Store(ministack, make_client(ministack.url, **keys))


@pytest.fixture
def pair(faulty: FaultyS3, tmp_path: Path, store: Store) -> list[Service]:
    """Two daemons' folders, with the same jobs and a state of each."""
    services = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        services.append(member(Service(faulty, tmp_path / name), store))
    return services


def member(service: Service, store: Store, **fleet: Any) -> Service:
    service.configure({"fleet": {"lease": f"s3://{store.bucket}/fleet/", "ttl": "3s", **fleet}})
    service.job("account-b")
    service.job("account-z")
    return service


def logs(now: datetime, first: int, count: int) -> list[Delivery]:
    return [Trail().log(B, REGIONS[0], now - timedelta(minutes=10), first + number) for number in range(count)]


def test_one_ticks_and_the_other_takes_over_from_where_it_was(pair: list[Service], store: Store, now: datetime) -> None:
    first, second = pair
    keys = first.deliver(*logs(now, 0, 5))
    with first.running(store.environment) as one:
        one.wait_for("lease.taken", slot=0, generation=1)
        wait_until(lambda: {*keys} <= {*first.replica("account-z")}, what="the first's copies")
        with second.running(store.environment) as other:
            other.wait_for("daemon.started")
            page = wait_for_page(other, "Stands by")
            assert other.metric("syncd_lease_held") == 0
            os.kill(one.pid, signal.SIGSTOP)
            taken = other.wait_for("lease.taken", slot=0, generation=2)
            more = first.deliver(*logs(now, 10, 5))
            wait_until(lambda: {*more} <= {*first.replica("account-z")}, what="the second's copies")
            before = len(one.events)
            first.server.forget_requests()
            os.kill(one.pid, signal.SIGCONT)
            lost = one.wait_for("lease.lost")
            assert other.stopped() == 0
            one.wait_for("lease.taken", generation=3)
            even_more = first.deliver(*logs(now, 20, 1))
            wait_until(lambda: {*even_more} <= {*first.replica("account-z")}, what="the first's copies again")
            assert one.stopped() == 0

    assert "account-z" not in page
    assert taken["before"].split(":")[1] == str(one.pid)
    assert lost["slot"] == 0
    begun_frozen = [item for item in one.events[before:] if item["event"] == "tick.finished" and item["copied"]]
    assert len(begun_frozen) <= 2
    # Every object was copied once: what the other had copied was recalled, not read again.
    assert first.server.count("GetObject") == 2
    assert store.lease() == {"owner": "", "generation": 3}
    assert one.wait_for("ledger.rebuilt", job="account-z")["replicas"] >= 5


def wait_for_page(daemon: Running, words: str) -> str:
    wait_until(lambda: words in daemon.get("/")[1], what=words)
    return daemon.get("/")[1]
