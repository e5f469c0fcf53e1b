"""A task in hand counts as another worker's once its worker has been silent, whatever kept it so."""

from threading import Event

from syncd.aws.queues import Message, Queues
from syncd.spread.hold import FENCE_SHARE, Hold

MESSAGE = Message("{}", "receipt", 1)
VISIBILITY = 60


def hold(clock: list[float], lost: Event) -> Hold:
    return Hold(
        Queues(),
        "https://sqs.us-east-1.amazonaws.com/222222222222/syncd-tasks",
        MESSAGE,
        visibility_seconds=VISIBILITY,
        since=clock[0],
        on_lost=lost.set,
        clock=lambda: clock[0],
    )


def test_a_machine_that_slept_has_lost_its_task() -> None:
    """No beat is due to the threads that slept too: the next copy that ends looks at the clock."""
    clock, lost = [1000.0], Event()
    held = hold(clock, lost)

    held.look()
    before = held.is_lost()
    clock[0] += FENCE_SHARE * VISIBILITY
    held.look()

    assert not before
    assert lost.is_set()
    assert held.is_lost()


def test_a_task_that_is_lost_stays_so() -> None:
    clock, lost = [1000.0], Event()
    held = hold(clock, lost)

    clock[0] += VISIBILITY
    first = held.is_lost()
    clock[0] -= VISIBILITY

    assert first
    assert held.is_lost()
