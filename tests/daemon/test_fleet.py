"""Slots: several daemons share the jobs, and one that ends or hangs is replaced."""

import contextlib
import json
import os
import signal
import socket
import threading
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self
from zlib import crc32

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import FaultyS3
from servers import MakeClient, S3Server
from service import Running, Service
from waiting import wait_until

B, C = ACCOUNTS[0], ACCOUNTS[1]

TTL_SECONDS = 3


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
    service.configure({"fleet": {"lease": f"s3://{store.bucket}/fleet/", "ttl": f"{TTL_SECONDS}s", **fleet}})
    service.job("account-b")
    service.job("account-z")
    return service


def wait_for_renewals(store: Store, *, seconds: float) -> None:
    """Wait until a lease has been renewed for so long, as often as every third of its time."""
    seen: set[str] = set()

    def is_renewed() -> bool:
        seen.add(store.lease()["write"])
        return len(seen) > seconds / (TTL_SECONDS / 3)

    wait_until(is_renewed, what="renewals")


def logs(now: datetime, first: int, count: int) -> list[Delivery]:
    return [Trail().log(B, REGIONS[0], now - timedelta(minutes=10), first + number) for number in range(count)]


def test_one_ticks_and_the_other_takes_over_from_where_it_was(pair: list[Service], store: Store, now: datetime) -> None:
    first, second = pair
    keys = first.deliver(*logs(now, 0, 5))
    with first.running(store.environment) as one:
        one.wait_for("lease.taken", slot=0, generation=1)
        wait_for_copies(first, keys)
        with second.running(store.environment) as other:
            other.wait_for("daemon.started")
            page = wait_for_page(other, "Stands by")
            assert other.metric("syncd_lease_held") == 0
            wait_for_renewals(store, seconds=2 * TTL_SECONDS)
            assert not one.told("lease.lost")
            os.kill(one.pid, signal.SIGSTOP)
            taken = other.wait_for("lease.taken", slot=0, generation=2)
            more = first.deliver(*logs(now, 10, 5))
            wait_for_copies(first, more)
            before = len(one.events)
            first.server.forget_requests()
            os.kill(one.pid, signal.SIGCONT)
            lost = one.wait_for("lease.lost")
            assert other.stopped() == 0
            one.wait_for("lease.taken", generation=3)
            even_more = first.deliver(*logs(now, 20, 1))
            wait_for_copies(first, even_more)
            assert one.stopped() == 0

    assert "account-z" not in page
    assert taken["before"].split(":")[1] == str(one.pid)
    assert lost["slot"] == 0
    begun_frozen = [item for item in one.events[before:] if item["event"] == "tick.finished" and item["copied"]]
    assert len(begun_frozen) <= 2
    # Every object was copied once: what the other had copied was recalled, not read again.
    assert first.server.count("GetObject") == 2
    assert {**store.lease(), "write": ""} == {"owner": "", "generation": 3, "write": ""}
    assert one.wait_for("ledger.rebuilt", job="account-z")["replicas"] >= 5


def test_a_slot_that_is_given_back_is_taken_at_once_and_a_restart_recalls_nothing(
    pair: list[Service], store: Store, now: datetime
) -> None:
    first, second = (member(service, store, ttl="1h") for service in pair)
    keys = first.deliver(*logs(now, 0, 3))

    with first.running(store.environment) as one, second.running(store.environment) as other:
        wait_until(lambda: one.told("lease.taken") or other.told("lease.taken"), what="a holder")
        holder, standby = (one, other) if one.told("lease.taken") else (other, one)
        wait_until(lambda: {*keys} <= {*first.replica("account-z")}, what="the first copies")
        assert holder.stopped() == 0
        standby.wait_for("lease.taken", generation=2)
        standby.wait_for("tick.finished", job="account-z")
        assert standby.stopped() == 0
    service = second if standby is other else first
    service.server.forget_requests()
    with service.running(store.environment) as again:
        again.wait_for("lease.taken", generation=3)
        finished = again.wait_for("tick.finished", job="account-z")
        assert again.stopped() == 0

    assert holder.told("lease.released")
    assert service.server.count("GetObject") == 0
    assert "ledger.rebuilt" not in {item["event"] for item in again.events}
    assert finished["outcome"] == "ok"


def test_without_its_store_nobody_ticks_on_and_all_goes_on_when_it_is_back(
    faulty: FaultyS3, tmp_path: Path, store: Store, now: datetime
) -> None:
    service = member(Service(faulty, tmp_path), store)
    keys = service.deliver(*logs(now, 0, 1))

    with Cut(store.server.url) as cut, service.running({**store.environment, "AWS_ENDPOINT_URL_S3": cut.url}) as daemon:
        wait_until(lambda: {*keys} <= {*service.replica("account-z")}, what="the first copies")
        assert daemon.metric("syncd_lease_held") == 1
        cut.close_for_all()
        told = daemon.wait_for("lease.unavailable")
        wait_until(lambda: daemon.get("/readyz")[0] == 503, what="a lease that is too old")
        wait_until(lambda: "syncd_ticks_running 0.0" in daemon.get("/metrics")[1], what="the end of running ticks")
        held = daemon.metric("syncd_lease_held")
        service.server.forget_requests()
        late = service.deliver(*logs(now, 10, 1))
        wait_until(lambda: cut.refused >= 8, what="more attempts to renew")
        meanwhile = len(service.server.requests)
        cut.open_again()
        daemon.wait_for("lease.recovered")
        wait_until(lambda: {*late} <= {*service.replica("account-z")}, what="what came meanwhile")
        assert daemon.get("/readyz")[0] == 200
        assert daemon.stopped() == 0

    assert (held, meanwhile) == (0, 0)
    assert told["reason"] in ("connection_failed", "timeout")
    assert len(daemon.told("lease.taken")) == 1
    assert not daemon.told("lease.lost")


def test_jobs_are_shared_among_slots_and_each_daemon_shows_its_own(
    pair: list[Service], store: Store, now: datetime
) -> None:
    first, second = (member(service, store, members=2, ttl="1h") for service in pair)
    keys = first.deliver(*logs(now, 0, 2))
    for service in pair:
        service.job("account-c")

    with first.running(store.environment) as one, second.running(store.environment) as other:
        slots = {daemon.wait_for("lease.taken")["slot"]: daemon for daemon in (one, other)}
        wait_until(lambda: {*keys} <= {*first.replica("account-z")}, what="copies of Z")
        wait_until(lambda: {*keys} <= {*first.replica("account-b")}, what="copies of B")
        shown = [[job["job"] for job in service.status()[1]["jobs"]] for service in (first, second)]
        fleets = [service.status()[1]["fleet"] for service in (first, second)]
        assert one.stopped() == 0
        assert other.stopped() == 0

    assert set(slots) == {0, 1}
    assert sorted(shown[0] + shown[1]) == ["account-b", "account-c", "account-z"]
    assert {fleet["slot"] for fleet in fleets} == {0, 1}
    assert all(fleet["is_held"] for fleet in fleets)
    ticked = [{item["job"] for item in daemon.told("tick.finished")} for daemon in (one, other)]
    assert [sorted(jobs) for jobs in ticked] == [sorted(jobs) for jobs in shown]
    for daemon, jobs in zip((one, other), shown, strict=True):
        slot = next(slot for slot, holder in slots.items() if holder is daemon)
        assert all(crc32(job.encode()) % 2 == slot for job in jobs)


class Cut:
    """A way to a server that can be cut."""

    def __init__(self, url: str) -> None:
        self._port = int(url.rpartition(":")[2])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._is_cut = False
        self.refused = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close_for_all()
        self._listener.close()

    def close_for_all(self) -> None:
        """Resets what is connected, and whoever connects."""
        self._is_cut = True
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def open_again(self) -> None:
        self._is_cut = False

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if self._is_cut:
                    self.refused += 1
                    near.close()
                    continue
                far = socket.create_connection(("127.0.0.1", self._port))
                self._open += [near, far]
                for one, other in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(one, other), daemon=True).start()

    def _copy(self, one: socket.socket, other: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
        for end in (one, other):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def wait_for_copies(service: Service, keys: list[str]) -> None:
    """Waits until each job has copied all of them."""
    replicas = ("account-b", "account-z")
    wait_until(lambda: all({*keys} <= {*service.replica(name)} for name in replicas), what=f"copies of {keys}")


def wait_for_page(daemon: Running, words: str) -> str:
    wait_until(lambda: words in daemon.get("/")[1], what=words)
    return daemon.get("/")[1]
