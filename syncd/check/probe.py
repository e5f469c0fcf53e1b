"""Trying a call for real, one at a time, without leaving anything behind."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from syncd.aws import answers
from syncd.aws.deletion import delete_object
from syncd.aws.endpoint import End
from syncd.aws.s3 import Answer, Request, Side, quote_key
from syncd.aws.transport import Credentials
from syncd.model import reasons
from syncd.model.reasons import Reason

PROBE = "syncd-check"
_WAIT_SECONDS = 0.1
_WRONG_DIGEST = b64encode(hashlib.sha256(b"another content").digest()).decode()
# S3 answers the first; the others are what servers beside it say of a body that is not what its digest says.
_DIGEST_CODES = frozenset({"BadDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch", "InvalidDigest"})
_REGION_CODES = frozenset({"AuthorizationHeaderMalformed", "PermanentRedirect", "IllegalLocationConstraintException"})
_DENIALS = frozenset({Reason.ACCESS_DENIED, Reason.KMS_DENIED})


@dataclass(frozen=True, slots=True)
class FixedPrincipal:
    """Credentials that a check uses for a moment, and never renews."""

    name: str
    credentials: Credentials

    def current(self) -> Credentials:
        """The credentials."""
        return self.credentials

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """The same again: a check does not last as long as a session."""
        del rejected
        return self.credentials


def ask(end: End, request: Request) -> Answer:
    """Send a request and wait for its answer; the transport's own deadline ends the wait."""
    answers: SimpleQueue[Answer] = SimpleQueue()
    end.send(request, lambda answer, _: answers.put(answer))
    while True:
        try:
            return answers.get(timeout=_WAIT_SECONDS)
        except Empty:
            end.transport.expire()


def told(end: End, call: str, key: str, answer: Answer) -> str:
    """The call, the principal, the resource, and what was answered."""
    what = answers.said(answer.code or str(answer.status), answer.message)
    return f"{call} by {end.principal.name} of s3://{end.bucket}/{key}: {what}"


def is_denied(answer: Answer) -> bool:
    """Whether permissions are what stood in the way."""
    return answer.status == 403 and _reason(answer) in _DENIALS


def remedy_for(answer: Answer) -> str:
    """What to do about a refusal that no missing permission explains."""
    return reasons.remedy_of(_reason(answer))


def _reason(answer: Answer) -> str:
    return answers.reason_of(answer.status, answer.code, answer.message)


def is_elsewhere(answer: Answer) -> bool:
    """Whether the bucket is in another region than the request was signed for."""
    return answer.code in _REGION_CODES or answer.status in (301, 307)


def region_told(answer: Answer) -> str | None:
    """The bucket's region as far as an answer tells it: of S3 also one that refuses."""
    header = answer.headers.get("x-amz-bucket-region")
    found = re.search(rb"<Region>([a-z0-9-]+)</Region>", answer.body)
    return header or (found[1].decode() if found else None)


def without_owner(request: Request) -> Request:
    """The same request, whoever owns the bucket."""
    owners = ("x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner")
    return request._replace(headers=tuple(pair for pair in request.headers if pair[0] not in owners))


def bucket_request(operation: str, method: str, side: Side, query: str, owner: str) -> Request:
    """A request about a bucket as a whole."""
    return Request(operation, side, method, "", query, (("x-amz-expected-bucket-owner", owner),))


def probe_key(prefix: str) -> str:
    """A key below a prefix that nobody has."""
    return f"{prefix}{PROBE}-{secrets.token_hex(8)}"


def write_probe(side: Side, key: str, owner: str, landing: Sequence[tuple[str, str]] = ()) -> Request:
    """A PutObject with a SHA-256 that is not its body's: S3 refuses it for that only after it has allowed it."""
    headers = (
        *landing,
        ("if-none-match", "*"),
        ("x-amz-sdk-checksum-algorithm", "SHA256"),
        ("x-amz-checksum-sha256", _WRONG_DIGEST),
        ("x-amz-expected-bucket-owner", owner),
    )
    return Request("PutObject", side, "PUT", key, "", headers, b"syncd check: this is never kept\n")


def copy_probe(source: End, source_key: str, key: str, owner: str) -> Request:
    """A CopyObject on the condition of an ETag that no object has: refused for that only after it was allowed."""
    headers = (
        ("x-amz-copy-source", f"/{source.bucket}/{quote_key(source_key)}"),
        ("x-amz-copy-source-if-match", '"syncd-check"'),
        ("if-none-match", "*"),
        ("x-amz-expected-bucket-owner", owner),
        ("x-amz-source-expected-bucket-owner", source.owner),
    )
    return Request("CopyObject", Side.DESTINATION, "PUT", key, "", headers)


def delete_probe(key: str, owner: str) -> Request:
    """Return a DeleteObject on the condition of an ETag that no object has."""
    return delete_object(Side.SOURCE, key, owner, if_match=PROBE)


def is_allowed_write(answer: Answer) -> bool:
    """Whether a write probe was allowed, and refused for its digest."""
    return answer.code in _DIGEST_CODES


def cleared(end: End, side: Side, key: str) -> str:
    """Take away a probe that a server wrote, since it checks no digests; a sentence about it."""
    answer = ask(end, delete_object(side, key, end.owner))
    where = f"s3://{end.bucket}/{key}"
    if answer.is_ok:
        return f"the server keeps what its digest contradicts: {where} was written, and deleted again"
    return f"the server keeps what its digest contradicts: {where} was written and could not be deleted; delete it"
