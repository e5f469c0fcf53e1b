"""What is remembered of the folders that a source shows: what the job wants of them, and so much at the most."""

from collections.abc import Iterable, Iterator

import pytest

from syncd.model.bounds import MOST_CHILDREN, MOST_UNCOVERED, children_to_json
from syncd.model.keys.trail import Node, Scope
from syncd.model.objects import Folder
from syncd.tick.listing.discovery import Discovered, Looks, discover, is_of, remembered_below

NOW = 1_795_507_200.0
EVERYTHING = Scope("", (), ("*",), ("*",), ("*",))
KIND = "AWSLogs/111111111111/CloudTrail/"
REGION = f"{KIND}us-east-1/"
DATES = Node(REGION, "date", "", "111111111111", "CloudTrail", "us-east-1")
REGIONS = Node(KIND, "region", "", "111111111111", "CloudTrail")


class Source:
    """Folders by the prefix that they lie below, told in pieces of a thousand."""

    def __init__(self, folders: dict[str, list[str]]) -> None:
        self.shown = folders
        self.asked: list[str] = []

    def folders(self, prefixes: Iterable[str]) -> Iterator[Folder]:
        for prefix in prefixes:
            self.asked.append(prefix)
            names = self.shown.get(prefix, [])
            for at in range(0, max(1, len(names)), 1000):
                yield Folder(prefix, names[at : at + 1000], [])


CROWD = [f"AWSLogs/2222222222{number}/" for number in range(10, 60)]


def tree(*below: str) -> dict[str, list[str]]:
    """Folders of one account and kind, with these below the kind, and many accounts beside it that have none."""
    return {
        "AWSLogs/": ["AWSLogs/111111111111/", *CROWD],
        "AWSLogs/111111111111/": [KIND],
        KIND: [f"{KIND}{name}/" for name in below],
    }


def found(source: Source, looks: Looks | None = None, *, scope: Scope = EVERYTHING, now: float = NOW) -> Discovered:
    return discover(scope, source, looks=looks or {}, every=86_400, now=now)


def later(source: Source, before: Discovered, *, scope: Scope = EVERYTHING) -> Discovered:
    """A tick later, in which the turn is the crowd's."""
    looks = before.looks | dict.fromkeys(CROWD, (NOW - 3600, ()))
    source.asked.clear()
    return found(source, looks, scope=scope, now=NOW + 60)


def regions(discovered: Discovered) -> list[str]:
    return [shard.region for shard in discovered.shards]


def test_of_too_many_folders_the_days_are_not_remembered_since_a_shards_own_listing_comes_by_them() -> None:
    days = [f"{REGION}{number:09}/" for number in range(210_000_000, 210_000_000 + MOST_CHILDREN + 1)]
    source = Source(tree("us-east-1") | {REGION: [*days, f"{REGION}odd/"]})

    first = found(source)
    second = later(source, first)

    assert len(first.looks[REGION][1]) == 2  # the odd one, and that something was left out
    for discovered in (first, second):
        assert [shard.prefix for shard in discovered.shards] == [REGION, f"{REGION}odd/"]
        assert discovered.uncovered == []


def test_more_folders_than_are_remembered_hold_the_horizon_in_each_tick_by_the_first_that_is_beyond() -> None:
    names = [f"region-{number:06}" for number in range(MOST_CHILDREN + 500)]
    source = Source(tree(*names))

    first = found(source)
    second = later(source, first)

    at, remembered = first.looks[KIND]
    assert (at, len(remembered)) == (NOW, MOST_CHILDREN)
    followed = len(remembered) - 3
    assert regions(first)[:followed] == names[:followed]
    assert first.uncovered == [f"{KIND}{names[followed]}/"]
    assert (regions(second), second.uncovered) == (regions(first), first.uncovered)
    assert KIND not in source.asked


def test_long_names_are_remembered_up_to_a_mebibyte() -> None:
    names = [f"{number:05}" + "x" * 945 for number in range(67_200)]

    remembered = remembered_below(REGIONS, [f"{KIND}{name}/" for name in names], EVERYTHING)

    assert children_to_json(remembered) is not None
    assert len(remembered) > 1000
    assert remembered[-1] == KIND


def test_folders_that_are_ignored_take_no_room() -> None:
    names = [f"junk-{number:06}" for number in range(MOST_CHILDREN * 2)] + ["us-east-1"]

    discovered = found(Source(tree(*names)), scope=EVERYTHING._replace(ignore=(f"{KIND}junk-*",)))

    assert regions(discovered) == ["us-east-1"]
    assert discovered.uncovered == []
    assert len(discovered.looks[KIND][1]) == 2  # the region, and that something was left out


FLOOD = [f"eu-{number:06}" for number in range(MOST_CHILDREN)]


@pytest.mark.parametrize("ignore", [(), (f"{KIND}eu-0000*", f"{KIND}ap-*")])
def test_what_was_left_out_as_ignored_is_looked_for_at_once_when_it_is_ignored_no_more(ignore: tuple[str, ...]) -> None:
    source = Source(tree(*FLOOD, "us-east-1", "ap-south-1"))
    before = found(source, scope=EVERYTHING._replace(ignore=(f"{KIND}eu-*",)))

    after = later(source, before, scope=EVERYTHING._replace(ignore=ignore))

    assert regions(before) == ["us-east-1", "ap-south-1"]
    assert KIND in source.asked
    assert {"eu-000100", "eu-009000"} <= set(regions(after))
    assert ("eu-000001" in regions(after)) == (not ignore)


def test_what_is_ignored_as_before_is_not_looked_for_again() -> None:
    source = Source(tree(*FLOOD, "us-east-1"))
    scope = EVERYTHING._replace(ignore=(f"{KIND}eu-*",))
    before = found(source, scope=scope)

    after = later(source, before, scope=scope)

    assert regions(after) == regions(before) == ["us-east-1"]
    assert KIND not in source.asked


def test_few_folders_are_remembered_whatever_they_are_so_that_another_scope_knows_them_at_once() -> None:
    source = Source(tree("eu-west-1", "us-east-1"))
    before = found(source, scope=EVERYTHING._replace(ignore=(f"{KIND}eu-*",)))

    after = later(source, before)

    assert (regions(before), regions(after)) == (["us-east-1"], ["eu-west-1", "us-east-1"])
    assert KIND not in source.asked


def test_a_look_of_before_is_of_any_scope() -> None:
    assert is_of(EVERYTHING._replace(ignore=("x",)), KIND, (f"{KIND}us-east-1/",))
    assert is_of(EVERYTHING, KIND, ())


def test_so_many_folders_are_named_as_uncovered_at_the_most() -> None:
    names = [f"AWSLogs/odd-{number}/" for number in range(MOST_UNCOVERED * 2)]
    scope = EVERYTHING._replace(kinds=("CloudTrail",))

    assert len(found(Source({"AWSLogs/": names}), scope=scope).uncovered) == MOST_UNCOVERED


@pytest.mark.parametrize("count", [0, 1, MOST_CHILDREN - 2, MOST_CHILDREN - 1, MOST_CHILDREN, MOST_CHILDREN + 1])
def test_what_is_bounded_once_stays_as_it_is(count: int) -> None:
    once = remembered_below(REGIONS, [f"{KIND}{number}/" for number in range(count)], EVERYTHING)

    assert remembered_below(REGIONS, once, EVERYTHING) == once
    assert len(once) == min(count, MOST_CHILDREN)
    assert (once[-1:] == (KIND,)) == (count > MOST_CHILDREN)


@pytest.mark.parametrize("pieces", [1, 7, 21])
def test_what_comes_in_pieces_is_bounded_as_what_comes_at_once(pieces: int) -> None:
    names = [f"{KIND}{'eu' if number % 2 else 'us'}-{number:06}/" for number in range(2 * MOST_CHILDREN + 100)]
    scope = EVERYTHING._replace(ignore=(f"{KIND}eu-*",))
    size = len(names) // pieces + 1

    remembered: tuple[str, ...] = ()
    for at in range(0, len(names), size):
        if remembered[-1:] != (KIND,):
            remembered = remembered_below(REGIONS, [*remembered, *names[at : at + size]], scope)

    assert remembered == remembered_below(REGIONS, names, scope)
