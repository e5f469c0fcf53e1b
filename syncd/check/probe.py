"""Probes: single requests, sent for real, that leave nothing behind."""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from queue import SimpleQueue

from syncd.aws import answers
from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Answer, Request, Side, copy_source
from syncd.aws.wire.signing import Credentials
from syncd.copy.deletion import delete_object
from syncd.copy.hashes.checksums import SHA256
from syncd.copy.write import copy_object, put_object
from syncd.model import reasons
from syncd.model.reasons import Reason

PROBE = "syncd-check"
_WRONG_DIGEST = b64encode(hashlib.sha256(b"another content").digest()).decode()
_DENIALS = frozenset({Reason.ACCESS_DENIED, Reason.KMS_DENIED})


@dataclass(frozen=True, slots=True)
class FixedPrincipal:
    """A principal with credentials that are used briefly and never renewed."""

    name: str
    credentials: Credentials

    def current(self) -> Credentials:
        """Return the credentials."""
        return self.credentials

    def refresh(self, *, rejected: Credentials | None = None) -> Credentials:
        """Return the same credentials: a check is shorter than a session."""
        del rejected
        return self.credentials


def ask(end: Endpoint, request: Request) -> Answer:
    """Send a request and wait for its answer, up to the transport's deadline."""
    answers: SimpleQueue[Answer] = SimpleQueue()
    end.send(request, lambda answer, _: answers.put(answer))
    return answers.get()


def told(end: Endpoint, call: str, key: str, answer: Answer) -> str:
    """Format the call, the principal, the resource and the answer."""
    what = answers.said(call, answer.code or str(answer.status), answer.message)
    return f"{call} by {end.principal.name} of s3://{end.bucket}/{key}: {what}"


def is_denied(answer: Answer) -> bool:
    """Return True if the request was refused for lack of permission."""
    return answer.status == 403 and _reason(answer) in _DENIALS


def remedy_for(answer: Answer) -> str:
    """Return the remedy for a refusal that is not about permissions."""
    return reasons.remedy_of(_reason(answer))


def _reason(answer: Answer) -> Reason:
    return answers.reason_of(answer.status, answer.code, answer.message)


def is_elsewhere(answer: Answer) -> bool:
    """Return True if the bucket is in another region than the request was signed for."""
    return _reason(answer) is Reason.WRONG_REGION


def region_told(answer: Answer) -> str | None:
    """Return the bucket's region, which S3 names even in refusals. Returns None if the answer has none."""
    header = answer.headers.get("x-amz-bucket-region")
    found = re.search(rb"<Region>([a-z0-9-]+)</Region>", answer.body)
    return header or (found[1].decode() if found else None)


def of_any_owner(end: Endpoint) -> Endpoint:
    """Return the endpoint of the same bucket, whichever account owns it."""
    return end._replace(owner="")


def bucket_request(operation: str, method: str, side: Side, query: str) -> Request:
    """Return a request about a bucket as a whole."""
    return Request(operation, side, method, "", query, ())


def probe_key(prefix: str) -> str:
    """Return a key below the prefix that no object has."""
    return f"{prefix}{PROBE}-{secrets.token_hex(8)}"


def write_probe(side: Side, key: str, landing: Sequence[tuple[str, str]] = ()) -> Request:
    """Return a PutObject with a wrong SHA-256, which S3 rejects only after checking permissions."""
    return put_object(side, key, landing, b"syncd check: this is never kept\n", (SHA256, _WRONG_DIGEST))


def copy_probe(source: Endpoint, source_key: str, key: str) -> Request:
    """Return a CopyObject with an impossible ETag, which S3 rejects only after checking permissions."""
    headers = copy_source(source.bucket, source_key, owner=source.owner, etag=PROBE)
    return copy_object(Side.DESTINATION, key, headers)


def delete_probe(key: str) -> Request:
    """Return a DeleteObject with an impossible ETag, which deletes nothing."""
    return delete_object(Side.SOURCE, key, if_match=PROBE)


def is_allowed_write(answer: Answer) -> bool:
    """Return True if a write probe was allowed, then rejected for its digest."""
    return _reason(answer) is Reason.CHECKSUM


def cleared(end: Endpoint, side: Side, key: str) -> str:
    """Delete a probe that the server stored despite its digest. Returns a sentence about it."""
    answer = ask(end, delete_object(side, key))
    where = f"s3://{end.bucket}/{key}"
    if answer.is_ok:
        return f"the server accepts a body that does not match its digest: {where} was written, then deleted"
    return f"the server accepts a body that does not match its digest: {where} was written and could not be deleted; delete it"
