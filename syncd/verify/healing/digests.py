"""Digests whose replicas are altered, and which of them the source has as CloudTrail signed them."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from syncd.config.job import Job
from syncd.model.keys.vouched import VOUCHES
from syncd.model.objects import LogObject
from syncd.verify.healing.replacement import ALTERED_AT_SOURCE, NOT_AT_SOURCE, Wanted
from syncd.verify.healing.source import SourceReader
from syncd.verify.proof import NotRepaired
from syncd.verify.rules.chain import Found, named_by, own_word
from syncd.verify.rules.digest import Digest
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.place import Place
from syncd.verify.rules.result import PlaceResult
from syncd.verify.rules.verdict import Flaw, Verdict

_ALTERED = frozenset(
    {
        Flaw.SIGNATURE_WRONG,
        Flaw.NO_SIGNATURE,
        Flaw.MALFORMED,
        Flaw.UNREADABLE,
        Flaw.TRAILING_DATA,
        Flaw.TOO_LARGE,
        Flaw.NAMED_TWICE,
        Flaw.MOVED,
    }
)
"""Flaws of a digest's own content or metadata."""
_KEYLESS = frozenset({Flaw.NO_KEY, Flaw.KEY_EXPIRED})
"""Flaws of an altered digest too, if it names another key."""
_GOOD = (Verdict.PROVED, Verdict.UNANCHORED, Verdict.BACKFILL)


class Altered(NamedTuple):
    """A digest whose replica is not what CloudTrail delivered."""

    key: str
    after: str
    """The next digest of its chain if that is good, or an empty text."""
    is_certain: bool
    """False if it may only be that nobody knows its key."""


def altered(result: PlaceResult) -> Sequence[Altered]:
    """Return the digests that are altered, or may be."""
    found = []
    for spans in result.chains.values():
        is_known = any(span.verdict in _GOOD for span in spans)
        after = ""
        for span in reversed([span for span in spans if span.digest_key]):
            flaws = {problem.flaw for problem in span.problems if problem.key == span.digest_key}
            if flaws & _ALTERED or (flaws & _KEYLESS and is_known):
                found.append(Altered(span.digest_key, after, is_certain=bool(flaws & _ALTERED)))
            after = span.digest_key if span.verdict in _GOOD else ""
    return found


class DigestVoucher:
    """Looks up the digests of one account and region at the source, where they may be as CloudTrail signed them."""

    def __init__(self, job: Job, source: SourceReader, keys: Keys, place: Place) -> None:
        self._buckets, self._keys = job.source.digest_buckets, keys
        self._source, self._place = source, place

    def vouch(self, found: Sequence[Altered]) -> tuple[list[Wanted], list[NotRepaired]]:
        """Return what should lie in place of altered digests, and why of others nothing is known to.

        A digest of the source is right if it is signed, or if the signed one after it names its content and signature.

        Raises:
            JobFailed: the source cannot be asked.
        """
        by_key = {item.key: item for item in found}
        there = self._read(by_key)
        after = self._read({item.after for item in found if item.key in there and item.after})
        wanted, others = [], []
        for key, item in sorted(by_key.items()):
            if key not in there:
                others.append(NotRepaired(key, NOT_AT_SOURCE, "the source has no such digest"))
                continue
            listed, digest = there[key]
            follower = self._own_word(after[item.after][1]) if item.after in after else None
            said = self._own_word(digest) or named_by(follower, digest)
            if said is not None:
                wanted.append(_wanted(listed, said, digest, is_certain=item.is_certain))
            elif item.is_certain:
                detail = "neither its signature nor the digest after it vouches for the one at the source"
                others.append(NotRepaired(key, ALTERED_AT_SOURCE, detail))
        return wanted, others

    def _read(self, keys: Iterable[str]) -> dict[str, tuple[LogObject, Found]]:
        listed = self._source.listed([(key, self._place.shard_of(key)) for key in keys])
        return {found.key: (listed[found.key], found) for found in self._source.digests(listed.values())}

    def _own_word(self, found: Found) -> Digest | None:
        return own_word(found, self._buckets, self._keys)


def _wanted(listed: LogObject, said: Digest, digest: Found, *, is_certain: bool) -> Wanted:
    words = (
        f"the replica is not the digest that CloudTrail delivered; {VOUCHES} the source's: it has SHA-256 {said.sha256}"
    )
    return Wanted(listed, said.sha256, words, digest.signature, digest.generated_at, is_certain)
