"""Trying a call for real, one at a time, without leaving anything behind."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue

from syncd.aws import answers
from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Answer, Request, Side, copy_source
from syncd.aws.transport import Credentials
from syncd.copy.write import copy_object, put_object
from syncd.model import reasons
from syncd.model.reasons import Reason

PROBE = "syncd-check"
_WAIT_SECONDS = 0.1
_WRONG_DIGEST = b64encode(hashlib.sha256(b"another content").digest()).decode()
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


def ask(end: Endpoint, request: Request) -> Answer:
    """Send a request and wait for its answer; the transport's own deadline ends the wait."""
    answers: SimpleQueue[Answer] = SimpleQueue()
    end.send(request, lambda answer, _: answers.put(answer))
    while True:
        try:
            return answers.get(timeout=_WAIT_SECONDS)
        except Empty:
            end.transport.expire()


def told(end: Endpoint, call: str, key: str, answer: Answer) -> str:
    """The call, the principal, the resource, and what was answered."""
    what = answers.said(answer.code or str(answer.status), answer.message)
    return f"{call} by {end.principal.name} of s3://{end.bucket}/{key}: {what}"


def is_denied(answer: Answer) -> bool:
    """Whether permissions are what stood in the way."""
    return answer.status == 403 and _reason(answer) in _DENIALS


def remedy_for(answer: Answer) -> str:
    """What to do about a refusal that no missing permission explains."""
    return reasons.remedy_of(_reason(answer))


def _reason(answer: Answer) -> Reason:
    return answers.reason_of(answer.status, answer.code, answer.message)


def is_elsewhere(answer: Answer) -> bool:
    """Whether the bucket is in another region than the request was signed for."""
    return _reason(answer) is Reason.WRONG_REGION


def region_told(answer: Answer) -> str | None:
    """The bucket's region as far as an answer tells it: of S3 also one that refuses."""
    header = answer.headers.get("x-amz-bucket-region")
    found = re.search(rb"<Region>([a-z0-9-]+)</Region>", answer.body)
    return header or (found[1].decode() if found else None)


def of_any_owner(end: Endpoint) -> Endpoint:
    """Return the endpoint of the same bucket, whichever account owns it."""
    return replace(end, owner="")


def bucket_request(operation: str, method: str, side: Side, query: str) -> Request:
    """Return a request about a bucket as a whole."""
    return Request(operation, side, method, "", query, ())


def probe_key(prefix: str) -> str:
    """A key below a prefix that nobody has."""
    return f"{prefix}{PROBE}-{secrets.token_hex(8)}"


def write_probe(side: Side, key: str, landing: Sequence[tuple[str, str]] = ()) -> Request:
    """Return a PutObject with a SHA-256 that is not its body's. S3 checks permissions first, and then refuses it."""
    return put_object(side, key, landing, b"syncd check: this is never kept\n", _WRONG_DIGEST)


def copy_probe(source: Endpoint, source_key: str, key: str) -> Request:
    """Return a CopyObject of an ETag that no object has. S3 checks permissions first, and then refuses it."""
    headers = copy_source(source.bucket, source_key, owner=source.owner, etag=PROBE)
    return copy_object(Side.DESTINATION, key, headers)


def delete_request(side: Side, key: str, *, if_match: str | None = None) -> Request:
    """Return a DeleteObject. With `if_match` it deletes only an object of this ETag."""
    condition = (("if-match", if_match),) if if_match else ()
    return Request("DeleteObject", side, "DELETE", key, "", condition)


def is_allowed_write(answer: Answer) -> bool:
    """Whether a write probe was allowed, and refused for its digest."""
    return _reason(answer) is Reason.CHECKSUM


def cleared(end: Endpoint, side: Side, key: str) -> str:
    """Take away a probe that a server wrote, since it checks no digests; a sentence about it."""
    answer = ask(end, delete_request(side, key))
    where = f"s3://{end.bucket}/{key}"
    if answer.is_ok:
        return f"the server keeps what its digest contradicts: {where} was written, and deleted again"
    return f"the server keeps what its digest contradicts: {where} was written and could not be deleted; delete it"
