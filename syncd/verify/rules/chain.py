"""The rules of the digest chain: what each digest proves, given the one before. Pure: bytes go in, spans come out.

A digest is trusted for four things together: it lies where it says it was delivered, the region's key signed it, its
predecessor is the one that it names by key, content and signature, and no time lies between the two.
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from syncd.job.health.proofs import Seen
from syncd.verify.rules.digest import ALGORITHM, ChainName, Digest, Previous, Refused, name_of, parse
from syncd.verify.rules.keys import Keys
from syncd.verify.rules.place import under
from syncd.verify.rules.unnamed import times_of
from syncd.verify.rules.verdict import Finding, Flaw, Span, Verdict

_HOUR = 3600.0
_GENERATED = "%Y-%m-%dT%H:%M:%SZ"
_NAME_IT = "if the trail delivered there, name the bucket in source.trail_buckets"


class Found(NamedTuple):
    """A digest as the replica has it."""

    key: str
    """The source's key from which the replica was made."""
    body: bytes
    signature: str = ""
    """Of the object's metadata, hexadecimal."""
    algorithm: str = ALGORITHM
    """Of the object's metadata."""
    generated_at: float | None = None
    """Of a backfill's metadata."""

    @classmethod
    def of(cls, key: str, body: bytes, headers: Mapping[str, str]) -> "Found":
        """Return a digest as S3 sent it."""
        generated = _metadata(headers, "backfill-generation-timestamp")
        return cls(
            key,
            body,
            _metadata(headers, "signature").lower(),
            _metadata(headers, "signature-algorithm"),
            _instant(generated),
        )


class Step(NamedTuple):
    """The result of one digest: its span, uncovered spans before it, and the digest if it is trusted."""

    span: Span
    before: tuple[Span, ...] = ()
    digest: Digest | None = None


class Chain:
    """One chain, which takes its digests in the order of their ends."""

    def __init__(self, name: ChainName, buckets: Iterable[str], keys: Keys, last: Seen | None = None) -> None:
        """`buckets` are those that the trail delivered to: the source's, and former ones.

        `last` is the digest up to which the chain was followed before.
        """
        self._name = name
        self._buckets = frozenset(buckets)
        self._keys = keys
        self._last = last

    @property
    def last(self) -> Seen | None:
        """The digest that was taken last."""
        return self._last

    def accept(self, found: Found, following: Digest | None = None) -> Step:
        """Take the next digest and return what it shows.

        Args:
            found: the digest.
            following: the digest after it, if there is one: its record of the signature serves if the metadata has none.
        """
        named = name_of(found.key)
        if named is None or named[0] != self._name:
            raise ValueError(f"{found.key} is not a digest of {self._name}")
        first_second, last_second = times_of(found.key)
        if first_second < last_second:
            # Neither the chain nor anything else goes by its name.
            detail = "its day folder does not bear its name out"
            return Step(_span(first_second, last_second, "", [Finding(Flaw.MOVED, detail, found.key)]))
        end = named[1]
        last = self._last
        # What nobody vouches for does not tell its own time.
        start = last.end if last is not None else end - _HOUR
        try:
            digest = parse(found.body)
        except Refused as refused:
            self._last = Seen(found.key, end, "", "", is_good=False)
            return Step(_span(start, end, found.key, [refused.finding._replace(key=found.key)]))
        signature = _signature_of(found, digest, following)
        problems = [*self._place_problems(found, digest, end), *self._signature_problems(found, digest, signature)]
        is_vouched = not problems
        before, link_problems, is_anchored = self._link(digest, last)
        problems += link_problems
        self._last = Seen(
            found.key, max(end, last.end if last else 0.0), digest.sha256, signature, is_good=not problems
        )
        if not is_vouched:
            problems += [problem for span in before for problem in span.problems]
            return Step(_of(digest, _span(start, end, found.key, problems)))
        if problems:
            return Step(_of(digest, _span(digest.start, digest.end, found.key, problems)), before)
        verdict = Verdict.BACKFILL if self._name.is_backfill else Verdict.PROVED if is_anchored else Verdict.UNANCHORED
        span = Span(
            digest.start,
            digest.end,
            verdict,
            found.key,
            () if is_anchored else tuple(self._elsewhere(digest, last)),
            len(digest.logs),
            digest.sha256,
            digest.fingerprint,
        )
        return Step(span, before, digest)

    def _elsewhere(self, digest: Digest, last: Seen | None) -> Iterator[Finding]:
        """Yield why a digest is not anchored although it is good: its trail delivered to another place before."""
        previous = digest.previous
        if previous is None:
            return
        place = f"s3://{previous.bucket}/{previous.key}"
        if previous.bucket not in self._buckets:
            yield Finding(Flaw.OTHER_BUCKET, f"it follows a digest in another bucket, {place}; {_NAME_IT}", digest.key)
        elif under(previous.key) not in (under(digest.key), under(last.key) if last is not None else ""):
            detail = f"it follows {place}, which the replica lacks: what was delivered under that prefix is not checked"
            yield Finding(Flaw.OTHER_PREFIX, detail, previous.key)

    def _place_problems(self, found: Found, digest: Digest, end: float) -> Iterator[Finding]:
        place = f"s3://{digest.bucket}/{digest.key}"
        if digest.key != found.key:
            yield Finding(Flaw.MOVED, f"it was delivered as {place} and not here", found.key)
        elif digest.bucket not in self._buckets:
            yield Finding(Flaw.OTHER_BUCKET, f"it was delivered as {place}; {_NAME_IT}", found.key)
        elif digest.end != end or digest.account != self._name.account:
            yield Finding(Flaw.MALFORMED, "its name tells another account or end than its content", found.key)

    def _signature_problems(self, found: Found, digest: Digest, signature: str) -> Iterator[Finding]:
        if found.algorithm != ALGORITHM:
            detail = f"its metadata tells the signature algorithm {found.algorithm!r}, not {ALGORITHM}"
            yield Finding(Flaw.SIGNATURE_WRONG, detail, found.key)
            return
        if not signature:
            yield Finding(Flaw.NO_SIGNATURE, "its replica has no signature in its metadata", found.key)
            return
        # Nobody signs the metadata: it dates backfills only.
        generated_at = found.generated_at if self._name.is_backfill else None
        signed_at = digest.end if generated_at is None else generated_at
        problem = self._keys.problem_of(digest, self._name.region, signature, signed_at)
        if problem is not None:
            yield problem._replace(key=found.key)

    def _link(self, digest: Digest, last: Seen | None) -> tuple[tuple[Span, ...], list[Finding], bool]:
        """Return spans without a digest before this one, what is wrong with the link, and True if it is anchored."""
        previous = digest.previous
        if last is None:
            return (), [], previous is None
        if previous is None:
            until = max(last.end, digest.start)
            problem = Finding(Flaw.RESTARTED, "the chain ends here, and another one begins", digest.key)
            return (Span(last.end, until, Verdict.GAP, "", (problem,)),), [], True
        if previous.bucket not in self._buckets:
            return _between(last.end, digest.start), [], False
        stranger = _stranger(digest, previous, self._name)
        if stranger is not None:
            return (), [stranger], False
        if under(previous.key) not in (under(digest.key), under(last.key)):
            return _between(last.end, digest.start), [], False
        if previous.key != last.key:
            return self._not_the_last(digest, previous.key, last)
        is_same = (previous.sha256, previous.signature) == (last.sha256, last.signature)
        if not is_same and not last.is_good:
            # The one before is named already. This one is signed, and what it was made after is not here.
            return _between(last.end, digest.start), [], False
        problems = []
        if not is_same:
            what = "contents" if previous.sha256 != last.sha256 else "signatures"
            detail = f"it was made after another {previous.key} than the one here: their {what} differ"
            problems.append(Finding(Flaw.CHAIN_BROKEN, detail, digest.key))
        if digest.start < last.end:
            problems.append(Finding(Flaw.CHAIN_BROKEN, "it begins before the digest that it follows ends", digest.key))
        return _between(last.end, digest.start), problems, True

    def _not_the_last(
        self, digest: Digest, previous_key: str, last: Seen
    ) -> tuple[tuple[Span, ...], list[Finding], bool]:
        named = name_of(previous_key)
        if named is None or named[1] <= last.end:
            detail = f"it follows {previous_key}, but {last.key} lies between them"
            return (), [Finding(Flaw.CHAIN_BROKEN, detail, digest.key)], False
        hours = max(1, round((digest.start - last.end) / _HOUR))
        many = f"it and {hours - 1} before it are missing" if hours > 1 else "it is missing"
        problem = Finding(Flaw.DIGEST_MISSING, many, previous_key)
        return (_span(last.end, digest.start, "", [problem]),), [], False


def own_word(found: Found, buckets: Iterable[str], keys: Keys) -> Digest | None:
    """Return what a digest says, if it is signed by itself and lies where it was delivered, whatever is before it."""
    named = name_of(found.key)
    return Chain(named[0], buckets, keys).accept(found).digest if named is not None else None


def named_by(after: Digest | None, found: Found) -> Digest | None:
    """Return what a digest says, if a signed one after it names its key, its content and its signature."""
    previous, content = after.previous if after is not None else None, parsed(found)
    if content is None or previous is None:
        return None
    named = (previous.key, previous.sha256, previous.signature)
    return content if named == (found.key, content.sha256, found.signature) else None


def parsed(found: Found) -> Digest | None:
    """Return what a digest says, or None if it cannot be used."""
    try:
        return parse(found.body)
    except Refused:
        return None


def _metadata(headers: Mapping[str, str], name: str) -> str:
    return headers.get(f"x-amz-meta-{name}", "").strip()


def _instant(text: str) -> float | None:
    try:
        return datetime.strptime(text, _GENERATED).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _signature_of(found: Found, digest: Digest, following: Digest | None) -> str:
    if found.signature or following is None or following.previous is None:
        return found.signature
    previous = following.previous
    return previous.signature if (previous.key, previous.sha256) == (found.key, digest.sha256) else ""


def _stranger(digest: Digest, previous: Previous, name: ChainName) -> Finding | None:
    named = name_of(previous.key)
    if named is None or named[0] != name:
        return Finding(Flaw.CHAIN_BROKEN, f"it follows {previous.key}, which is of another chain", digest.key)
    return None


def _between(start: float, end: float) -> tuple[Span, ...]:
    return (Span(start, end, Verdict.GAP),) if end > start else ()


def _of(digest: Digest, span: Span) -> Span:
    return span._replace(sha256=digest.sha256, fingerprint=digest.fingerprint)


def _span(start: float, end: float, key: str, problems: list[Finding]) -> Span:
    return Span(start, end, Verdict.UNPROVED, key, tuple(problems))
