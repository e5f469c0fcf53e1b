"""A job with a backlog, and another that has little to do: both tick in one daemon, and the little is done at once.

What is asserted is the order of the requests at the server, and never how long anything took.
"""

import threading
from datetime import datetime, timedelta

import pytest
from builders import ACCOUNTS, REGIONS, Delivery, Trail
from faulty import Request, Slow, Stall
from service import Service
from waiting import wait_until

IN_FLIGHT = 128
"""The default of `engine.in_flight`."""
BIG, SMALL = ACCOUNTS[2], ACCOUNTS[0]
BACKLOG = 4000


def logs(now: datetime, account: str, count: int) -> list[Delivery]:
    """Of the last hours, a hundred a mark."""
    stamps = (now - timedelta(minutes=10 + 5 * (number // 100)) for number in range(count))
    return [Trail().log(account, REGIONS[0], stamp, number) for number, stamp in enumerate(stamps)]


def is_read_of_backlog(request: Request) -> bool:
    return request.operation == "GetObject" and f"/{BIG}/" in request.key


def written(service: Service, account: str) -> list[int]:
    """The numbers of the requests that wrote its logs."""
    return [
        request.number
        for request in service.server.requests
        if request.operation == "PutObject" and f"/{account}/" in request.key
    ]


def with_backlog(service: Service, now: datetime) -> None:
    service.deliver(*logs(now, BIG, BACKLOG))
    service.job("account-z")
    service.job("account-b")


def delivered_meanwhile(service: Service, now: datetime, count: int) -> None:
    """Delivers the small job's logs, and waits until they are copied."""
    service.deliver(*logs(now, SMALL, count))
    wait_until(lambda: len(service.replica("account-b")) == count, what="the small job's copies")


def test_a_job_is_copied_whole_while_all_that_another_has_in_flight_stands_still(
    service: Service, now: datetime
) -> None:
    with_backlog(service, now)
    go_on = threading.Event()
    still = service.server.faults.add(is_read_of_backlog, Stall(go_on))

    with service.running() as daemon:
        wait_until(lambda: still.hits >= IN_FLIGHT, what="the backlog in flight")
        delivered_meanwhile(service, now, 300)
        begun_of_backlog, copied_of_backlog = still.hits, len(written(service, BIG))
        in_flight = daemon.metric('syncd_objects_handed_over{syncd_job="account-z"}')
        limit = daemon.metric("syncd_limit_objects_in_flight")
        go_on.set()
        code = daemon.stopped()

    assert (begun_of_backlog, copied_of_backlog) == (IN_FLIGHT, 0)
    assert (in_flight >= IN_FLIGHT, limit) == (True, IN_FLIGHT)
    assert code == 0


@pytest.mark.parametrize("limits", [{}, {"engine.requests_per_second": 200}], ids=["no rate", "a rate for all"])
def test_a_job_is_done_while_another_has_most_of_its_backlog_before_it(
    service: Service, now: datetime, limits: dict[str, int]
) -> None:
    service.configure(limits)
    with_backlog(service, now)
    service.server.faults.add(is_read_of_backlog, Slow(1.0))

    with service.running() as daemon:
        wait_until(lambda: len(written(service, BIG)) >= 100, what="the backlog under way")
        delivered_meanwhile(service, now, 60)
        daemon.stopped()

    last = max(written(service, SMALL))
    assert len([number for number in written(service, BIG) if number < last]) < BACKLOG / 2
