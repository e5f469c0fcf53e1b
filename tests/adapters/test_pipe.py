"""The socket between a parent and its copy worker: whole messages in their order, and descriptors."""

import os
import resource
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest

from syncd.copy.workers.pipe import Pipe


@pytest.fixture
def ends() -> Iterator[tuple[Pipe, Pipe]]:
    made = tuple(map(Pipe, socket.socketpair()))
    yield made[0], made[1]
    for end in made:
        end.close()


def test_messages_larger_than_the_socket_holds_arrive_whole_and_in_order(ends: tuple[Pipe, Pipe]) -> None:
    near, far = ends
    messages = [(number, "x" * size) for number, size in enumerate([0, 1, 5_000_000, 3, 1_000_000])]
    writer = Thread(target=lambda: [near.send(message) for message in messages])
    writer.start()

    assert [far.receive() for _ in messages] == messages
    writer.join()


def test_messages_of_several_threads_do_not_mix(ends: tuple[Pipe, Pipe]) -> None:
    near, far = ends
    threads = [
        Thread(target=lambda mine=mine: [near.send((mine, "y" * 700_000)) for _ in range(20)]) for mine in range(4)
    ]
    for thread in threads:
        thread.start()

    came = [far.receive() for _ in range(80)]

    assert sorted(mine for mine, _ in came) == sorted([*range(4)] * 20)
    assert {len(text) for _, text in came} == {700_000}


def test_descriptors_follow_their_message_and_stay_between_others(ends: tuple[Pipe, Pipe], tmp_path: Path) -> None:
    near, far = ends
    paths = [tmp_path / name for name in "ab"]
    opened = [os.open(path, os.O_CREAT | os.O_RDWR) for path in paths]
    near.send(("before",))
    near.send(("with", 2), opened)
    near.send(("after",))

    assert far.receive() == ("before",)
    assert far.receive() == ("with", 2)
    came = far.receive_descriptors(2)
    assert far.receive() == ("after",)
    assert [Path(f"/proc/self/fd/{each}").readlink() for each in came] == paths
    assert not set(came) & set(opened)
    for descriptor in (*opened, *came):
        os.close(descriptor)


def test_no_descriptors_take_nothing_off_the_socket(ends: tuple[Pipe, Pipe]) -> None:
    near, far = ends
    near.send(("next",))

    assert far.receive_descriptors(0) == []
    assert far.receive() == ("next",)


def test_descriptors_for_which_there_is_no_room_are_an_error(ends: tuple[Pipe, Pipe]) -> None:
    near, far = ends
    near.send(("with", 3), [0, 1, 2])
    assert far.receive() == ("with", 3)
    most, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(each.name) for each in Path("/proc/self/fd").iterdir())
    taken = []
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 1, hard))
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        with pytest.raises(OSError, match="Too many open files"):
            far.receive_descriptors(3)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        for descriptor in taken:
            os.close(descriptor)


@pytest.mark.parametrize("bytes_sent", [0, 3, 8, 12], ids=["none", "half a head", "a head", "half a body"])
def test_an_end_in_the_middle_of_a_message_is_the_end(bytes_sent: int) -> None:
    theirs, ours = socket.socketpair()
    with ours:
        theirs.sendall(
            (100).to_bytes(8, "little") + b"body" if bytes_sent == 12 else (100).to_bytes(8, "little")[:bytes_sent]
        )
        theirs.close()
        with pytest.raises(EOFError):
            Pipe(ours).receive()


def test_a_message_to_nobody_is_an_error(ends: tuple[Pipe, Pipe]) -> None:
    near, far = ends
    far.close()

    with pytest.raises(OSError, match="pipe"):
        near.send(("gone",))
