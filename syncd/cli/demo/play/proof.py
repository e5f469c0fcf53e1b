"""The end of the demo: the replicas are proved, then one is tampered with, and the proof names what was done."""

import gzip
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from syncd.cli.demo.samples import TrailSpec, public_keys
from syncd.cli.demo.world import Consumer, World, root_client
from syncd.config import files
from syncd.verify.evidence.document import proof_document
from syncd.verify.keystore import keys_text
from syncd.verify.proof import Asked
from syncd.verify.rules.keys import Keys, PublicKey
from syncd.verify.rules.progress import Progress
from syncd.verify.rules.verdict import Flaw
from syncd.verify.session import Files, prove

_KEY_DAYS = timedelta(days=15)
_DIGESTS_DELETED = 4


@dataclass(frozen=True, slots=True)
class Proved:
    """A step that proved every job from CloudTrail's digests."""

    title: str
    remark: str
    documents: Sequence[Mapping[str, Any]]
    tampered: str = ""
    """The job whose replica was tampered with. Empty for none."""
    named: Collection[str] = ()
    """The keys and reasons that the proof of that job must name."""

    @property
    def holds(self) -> bool:
        """True if each untouched replica is proved, and all that was done to the other is named."""
        return all(
            document["verdict"] == "proved" if document["job"] != self.tampered else set(self.named) <= told(document)
            for document in self.documents
        )


def told(document: Mapping[str, Any]) -> set[str]:
    """Return the keys that a proof names as wrong, and the reasons."""
    return {word for problem in problems(document) for word in (problem["key"], problem["reason"])}


def problems(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield what is wrong, but for the hours whose digest cannot be there yet."""
    spans = [span for chain in document["chains"] for span in chain["spans"]]
    spans += [place["after_newest_digest"] for place in document["places"] if place["after_newest_digest"]]
    for span in spans:
        yield from (problem for problem in span["problems"] if problem["reason"] != "no_digest_yet")


def proofs(
    world: World, config: Path, spec: TrailSpec, *, tell: Callable[..., None], catch_up: Callable[[str], int]
) -> Iterator[Proved]:
    """Prove all jobs, tamper with the first one's replica, prove again, and mend it.

    `catch_up` catches up one job, and returns how many objects it copied.
    """
    keys = config.parent / "cloudtrail-public-keys.json"
    keys.write_text(keys_text(_keys(spec)), encoding="utf-8")
    yield Proved(
        "Can it be proved?",
        "`syncd verify` checks CloudTrail's signed digests on the replica: each signature,"
        " each link, each log's content. (The AWS CLI refuses to check logs that were moved.)",
        _proved(config, keys, tell=tell),
    )
    victim = world.consumers[0]
    named = _tamper(world, victim)
    yield Proved(
        "And after somebody tampered with it?",
        f"A log of {victim.name} is altered, and the newest digests of a region are"
        " deleted. (The AWS CLI does not notice that newest digests are missing.)",
        _proved(config, keys, tell=tell, only=victim.name),
        victim.name,
        named,
    )
    with root_client(world.url, victim.account_id, "s3") as client:
        client.delete_object(Bucket=victim.bucket, Key=named[0])
    copied = catch_up(victim.name)
    yield Proved(
        "And mended?",
        f"The forged log is deleted. `syncd catch-up` lists both sides and copies the {copied} objects that are missing from the"
        " source again. Everything is proved once more.",
        _proved(config, keys, tell=tell, only=victim.name),
    )


def _proved(config: Path, keys: Path, *, tell: Callable[..., None], only: str = "") -> Sequence[Mapping[str, Any]]:
    configuration = files.load(config)
    done = prove(
        configuration,
        [job for job in configuration.jobs if only in ("", job.name)],
        Asked(first=0.0, last=time.time(), heals=False),
        Files(keys=keys),
        now=time.time,
        tell=tell,
        progress=Progress(),
    )
    return [proof_document(proof) for proof in done.proofs]


def _keys(spec: TrailSpec) -> Keys:
    """Return the public keys of the trail, as CloudTrail lists them."""
    first, last = (spec.begins - _KEY_DAYS).timestamp(), (spec.begins + _KEY_DAYS).timestamp()
    return Keys(
        PublicKey(region, key.fingerprint, key.public_der, first, last) for region, key in public_keys(spec).items()
    )


def _tamper(world: World, victim: Consumer) -> Sequence[str]:
    """Alter a log and delete the newest digests of another region. Returns what a proof must name."""
    with root_client(world.url, victim.account_id, "s3") as client:
        pages = client.get_paginator("list_objects_v2").paginate(Bucket=victim.bucket)
        keys = sorted(item["Key"] for page in pages for item in page.get("Contents", ()))
        logs = [key for key in keys if "/CloudTrail/us-east-1/" in key]
        digests = [key for key in keys if "/CloudTrail-Digest/eu-west-1/" in key and "_backfill" not in key]
        altered = logs[len(logs) // 2]
        log = gzip.decompress(client.get_object(Bucket=victim.bucket, Key=altered)["Body"].read())
        forged = log.replace(b'"Records":[', b'"Records":[{"eventName":"NeverHappened"},', 1)
        client.put_object(Bucket=victim.bucket, Key=altered, Body=gzip.compress(forged))
        for key in digests[-_DIGESTS_DELETED:]:
            client.delete_object(Bucket=victim.bucket, Key=key)
    return [altered, Flaw.LOG_ALTERED, Flaw.DIGEST_MISSING]
