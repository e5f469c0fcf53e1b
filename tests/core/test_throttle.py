"""Limits a second, and fewer copies at once while S3 says SlowDown."""

from hypothesis import given
from hypothesis import strategies as st

from syncd.copy.workers.throttle import LEAST_IN_FLIGHT, Allowance, Throttle
from syncd.model.objects import Copied, Failed, LogObject, Shard, Transfer
from syncd.model.reasons import Reason

TRANSFER = Transfer(Shard(""), LogObject("k", "e", 1, 0.0), "k")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@given(
    per_second=st.floats(1, 1000),
    asks=st.lists(st.tuples(st.floats(0, 2), st.floats(0.1, 50)), min_size=1, max_size=60),
)
def test_no_span_of_time_gets_more_than_its_share_and_one_second_s_worth(
    per_second: float, asks: list[tuple[float, float]]
) -> None:
    clock = Clock()
    allowance = Allowance(per_second, monotonic=clock)
    taken = []

    for pause, amount in asks:
        clock.now += pause
        taken.append(amount if allowance.take(amount) else 0.0)

    largest = max(amount for _, amount in asks)
    assert sum(taken) <= per_second * (clock.now + 1) + largest + 1e-6


@given(
    per_second=st.floats(1, 1000),
    asks=st.lists(st.tuples(st.floats(0, 2), st.sampled_from("abc"), st.floats(0.1, 50)), min_size=1, max_size=80),
)
def test_no_span_of_time_gives_several_takers_more_than_that_together(
    per_second: float, asks: list[tuple[float, str, float]]
) -> None:
    clock = Clock()
    allowance = Allowance(per_second, monotonic=clock)
    taken = 0.0
    largest: dict[str, float] = {}

    for pause, taker, amount in asks:
        clock.now += pause
        taken += amount if allowance.take(amount, taker) else 0.0
        largest[taker] = max(amount, largest.get(taker, 0.0))

    assert taken <= per_second * (clock.now + 1) + sum(largest.values()) + 1e-6


def taken_within(
    seconds: int, allowance: Allowance, clock: Clock, asks: dict[str, tuple[float, int]]
) -> dict[str, float]:
    """What each taker got that asks for so much each so many milliseconds, again and again while it is given."""
    taken = dict.fromkeys(asks, 0.0)
    for moment in range(seconds * 1000):
        clock.now = moment / 1000
        for taker, (amount, every) in asks.items():
            while moment % every == 0 and allowance.take(amount, taker):
                taken[taker] += amount
    return taken


def test_who_asks_seldom_gets_as_much_as_who_asks_without_end() -> None:
    clock = Clock()
    allowance = Allowance(200.0, monotonic=clock)

    taken = taken_within(10, allowance, clock, {"catch-up": (2.0, 1), "tick": (2.0, 100)})

    assert taken["tick"] >= 900
    assert 1990 <= sum(taken.values()) <= 2200


def test_who_takes_much_at_once_is_not_starved_by_who_takes_little() -> None:
    clock = Clock()
    allowance = Allowance(100.0, monotonic=clock)

    taken = taken_within(60, allowance, clock, {"small objects": (1.0, 1), "large objects": (400.0, 100)})

    assert taken["large objects"] >= 2400
    assert taken["small objects"] >= 2400


def test_what_one_taker_leaves_another_gets() -> None:
    clock = Clock()
    allowance = Allowance(100.0, monotonic=clock)

    taken = taken_within(10, allowance, clock, {"busy": (1.0, 1), "idle": (100.0, 60_000)})

    assert taken["busy"] >= 900


def test_an_amount_beyond_a_second_s_worth_is_lent_once_and_waited_for() -> None:
    clock = Clock()
    allowance = Allowance(10.0, monotonic=clock)

    first, second = allowance.take(50.0), allowance.take(1.0)
    clock.now = 4.2

    assert (first, second) == (True, False)
    assert allowance.take(1.0)


def test_a_copy_takes_from_every_bucket_or_from_none() -> None:
    clock = Clock()
    requests, narrow = Allowance(100.0, monotonic=clock), Allowance(1.0, monotonic=clock)
    throttle = Throttle([requests], [narrow], requests_a_copy=2)

    admitted = [throttle.admits(1), throttle.admits(1)]

    assert admitted == [True, False]
    assert [requests.take(98.0), requests.take(1.0)] == [True, False]


def test_two_jobs_share_what_all_may_do_and_keep_below_their_own() -> None:
    clock = Clock()
    overall = Allowance(100.0, monotonic=clock)
    throttles = {
        "unlimited": Throttle([overall], [], requests_a_copy=1),
        "limited": Throttle([overall, Allowance(10.0, monotonic=clock)], [], requests_a_copy=1),
    }
    begun = dict.fromkeys(throttles, 0)

    for moment in range(10_000):
        clock.now = moment / 1000
        for name, throttle in throttles.items():
            begun[name] += throttle.admits(1)

    assert 100 <= begun["limited"] <= 110
    assert 880 <= begun["unlimited"] <= 1000


def test_slow_down_halves_what_is_in_flight_and_success_brings_it_back() -> None:
    throttle = Throttle((), (), requests_a_copy=1)
    slow = Failed(TRANSFER, Reason.SLOW_DOWN, "")

    widths = [throttle.window(64)]
    for _ in range(6):
        throttle.learn(slow, in_flight=64)
        widths.append(throttle.window(64))
    for _ in range(4000):
        throttle.learn(Copied(TRANSFER), in_flight=64)

    assert widths == [64, 32, 16, 8, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT, LEAST_IN_FLIGHT]
    assert throttle.window(64) == 64
