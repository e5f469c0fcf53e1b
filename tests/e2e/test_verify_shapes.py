"""Trails of every shape in one bucket, verified from outside: prefixes, an organization, two trails, a gap, a newcomer."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from builders import Delivery
from chains import known_keys
from key_server import lists_keys
from stage import Stage

from syncd.cli.demo.samples import SampleObject, TrailSpec, trail
from syncd.verify.keystore import keys_text
from syncd.verify.rules.keys import Keys

ORGANIZATION, OLD, NEW = "o-abcdefghij", "222222222222", "333333333333"
NORTH, WEST, SOUTH = "us-east-1", "eu-west-1", "ap-southeast-2"
SOURCE_PREFIX, DESTINATION_PREFIX = "trails/main", "copies/of-them/"


class Shapes:
    """An organization's trail; another one that records the same; one that was stopped; an account that joined later."""

    def __init__(self, stage: Stage, now: datetime) -> None:
        self.stage, self.now = stage, now
        hour = now.replace(minute=0, second=0, microsecond=0)
        common = {"prefix": SOURCE_PREFIX, "organization_id": ORGANIZATION, "name": "organization_trail"}
        first = TrailSpec(stage.world.bucket, [OLD], [NORTH, WEST], hour - timedelta(hours=9), **common)
        self.specs = [
            first,
            replace(first, name="second-trail", regions=[NORTH], begins=hour - timedelta(hours=6), seed=8),
            replace(first, accounts=[NEW], regions=[NORTH], begins=hour - timedelta(hours=3)),
        ]
        stopped = replace(first, regions=[SOUTH])
        again = replace(stopped, begins=hour - timedelta(hours=4))
        until = now - timedelta(minutes=10)
        self.items = [item for spec in (*self.specs, again) for item in trail(spec, until)]
        self.items += trail(stopped, hour - timedelta(hours=6))
        # Logs of a last hour that has no digest were delivered with it, when the trail was stopped.
        digests = [item.key for item in trail(stopped, hour - timedelta(hours=6)) if "-Digest/" in item.key]
        self.last_before_the_stop = max(digests)
        self.keys = Keys(key for spec in (*self.specs, stopped) for key in known_keys(spec).all())
        self.changes = {
            "source.prefix": SOURCE_PREFIX,
            "source.organization_id": ORGANIZATION,
            "destination.prefix": DESTINATION_PREFIX,
        }

    def deliver(self, items: list[SampleObject]) -> None:
        arrived = self.now - timedelta(minutes=5)
        self.stage.deliver(Delivery(item.key, item.body, arrived, item.metadata) for item in items)

    def verify(self, keys: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
        ran = self.stage.syncd("verify", "--json", "--no-heal", "--keys", str(keys), *arguments)
        assert ran.stdout, ran
        (entry,) = ran.document["jobs"]
        return ran.code, entry


@pytest.fixture
def shapes(stage: Stage, now: datetime) -> Iterator[Shapes]:
    it = Shapes(stage, now)
    with lists_keys(it.keys) as url:
        it.changes |= {"endpoints.cloudtrail": url, "verify": "continuous"}
        stage.job(changes=it.changes)
        it.deliver(it.items)
        yield it


def test_each_trail_is_a_chain_of_its_own_and_only_what_was_stopped_is_a_gap(shapes: Shapes, tmp_path: Path) -> None:
    tick = shapes.stage.syncd("tick", "--json")
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(shapes.keys))

    code, entry = shapes.verify(keys)
    narrowed_code, narrowed = shapes.verify(keys, "--account", NEW, "--region", NORTH)

    # In passing: nothing is an alarm, and the proof reaches the newest digest that all of them have.
    assert (tick.code, tick.job["unproved"]) == (0, []), tick
    assert entry["error"] is None, entry["error"]
    newest = min(chain["spans"][-1]["to"] for chain in entry["chains"])
    assert tick.job["proved_until"] == newest
    # Afterwards: the same, and the gap is told.
    assert (code, entry["verdict"], entry["problems"], entry["extra"]) == (3, "some", {"chain_restarted": 1}, [])
    found = {
        (chain["account"], chain["region"], chain["trail"]): [span["verdict"] for span in chain["spans"]]
        for chain in entry["chains"]
    }
    assert found == {
        (OLD, NORTH, "organization_trail"): ["proved"],
        (OLD, NORTH, "second-trail"): ["proved"],
        (OLD, WEST, "organization_trail"): ["proved"],
        (OLD, SOUTH, "organization_trail"): ["proved", "gap", "proved"],
        (NEW, NORTH, "organization_trail"): ["proved"],
    }
    assert (narrowed_code, narrowed["verdict"], len(narrowed["places"])) == (0, "proved", 1)


def test_what_is_done_to_one_trail_is_told_of_that_trail(shapes: Shapes, tmp_path: Path) -> None:
    """The newest digests of one of two trails, one of its older ones, and all digests of the newcomer are taken away."""
    assert shapes.stage.syncd("tick").code == 0
    keys = tmp_path / "keys.json"
    keys.write_text(keys_text(shapes.keys))
    bucket = shapes.stage.world.consumer("account-z").bucket
    digests = sorted(it.key for it in shapes.items if f"{OLD}_CloudTrail-Digest_{NORTH}_second-trail" in it.key)
    newcomers = [it.key for it in shapes.items if f"/{NEW}/CloudTrail-Digest/" in it.key]
    for key in [digests[1], *digests[-2:], *newcomers]:
        shapes.stage.server.delete(bucket, DESTINATION_PREFIX + key)

    code, entry = shapes.verify(keys)

    assert code == 3, entry["error"]
    second, first = (
        next(chain for chain in entry["chains"] if (chain["region"], chain["trail"]) == (NORTH, name))
        for name in ("second-trail", "organization_trail")
    )
    assert [span["verdict"] for span in first["spans"]] == ["proved"]
    assert [span["verdict"] for span in second["spans"]] == ["proved", "unproved", "unanchored", "proved"]
    # The logs that only the newest named are in no digest any more. The next one may name them.
    assert entry["in_flight"]
    place = next(place for place in entry["places"] if place["account"] == NEW)
    assert place["after_newest_digest"]["problems"][0]["reason"] == "digest_missing"
    assert entry["proved_until"] < second["spans"][1]["to"]
