"""Keys of a job that would let a refused request through, each found by sending the request again as with that key.

Nothing is kept by any of them: a write that is tried here has a wrong digest (`probe.write_probe`).
"""

from collections.abc import Iterator

from syncd.aws import answers
from syncd.aws.endpoint import Endpoint
from syncd.aws.s3 import Answer, Request, Side
from syncd.check.probe import ask, cleared, is_allowed_write, is_denied, of_any_owner, write_probe
from syncd.config.job import Job
from syncd.job.copies import landing_headers

OWNER = 'set endpoints.bucket_owner in the job to the ID by which the server knows the owner, or to "off"'
SIGN_PAYLOADS = (
    'set endpoints.payload = "signed" in the job: the server refuses bodies that the signature does not cover'
)
_ENCRYPTIONS = ("AES256", "aws:kms", "aws:kms:dsse")
_OWNED = "bucket-owner-full-control"


def of_a_read(job: Job, end: Endpoint, request: Request, answer: Answer) -> str:
    """Return the remedy for a refused read of a bucket, if a key of the job is one. Empty if none is."""
    if not 400 <= answer.status <= 501 or answer.status == 500:
        # It may pass by itself, and prove nothing of the key that was tried meanwhile.
        return ""
    for remedy, other in _other_ends(job, end, request.side):
        if ask(other, request).is_ok:
            return remedy
    return ""


def of_a_write(job: Job, end: Endpoint, key: str, answer: Answer) -> str:
    """Return the remedy for a refused write, if a key of the job is one. Empty if none is."""
    if not is_denied(answer):
        return signing_payloads(end, key, landing_headers(job.destination))
    for remedy, landing in _other_landings(job):
        tried = ask(end, write_probe(Side.DESTINATION, key, landing))
        if tried.is_ok:
            cleared(end, Side.DESTINATION, key)
        if tried.is_ok or is_allowed_write(tried):
            return f"{remedy} in the job: the same write is allowed with it"
    return ""


def signing_payloads(end: Endpoint, key: str, landing: tuple[tuple[str, str], ...]) -> str:
    """Return the remedy for a write that the server refuses since its body is not signed. Empty if it does not."""
    if end.address.signs_payload:
        return ""
    tried = ask(_signed(end), write_probe(Side.DESTINATION, key, landing))
    if tried.is_ok:
        cleared(end, Side.DESTINATION, key)
    elif not is_allowed_write(tried):
        return ""
    return SIGN_PAYLOADS


def is_about_payload(end: Endpoint, key: str, landing: tuple[tuple[str, str], ...], answer: Answer) -> bool:
    """Return whether a write was refused for its unsigned body, in words that may also be about its wrong digest.

    A server with one code for both gives the same one to a signed body.
    """
    if end.address.signs_payload or not answers.may_be_about_payload(answer.code):
        return False
    tried = ask(_signed(end), write_probe(Side.DESTINATION, key, landing))
    if tried.is_ok:
        cleared(end, Side.DESTINATION, key)
    return tried.code != answer.code


def _other_ends(job: Job, end: Endpoint, side: Side) -> Iterator[tuple[str, Endpoint]]:
    if not end.address.signs_payload:
        yield SIGN_PAYLOADS, _signed(end)
    if end.owner and job.endpoints.is_given:
        yield f"{OWNER}: without the check of the owner the same request is allowed", of_any_owner(end)
    if side is Side.SOURCE and not end.headers:
        remedy = 'set source.request_payer = "requester" in the job: the bucket is Requester Pays, and the caller pays'
        yield remedy, end._replace(headers=(("x-amz-request-payer", "requester"),))


def _other_landings(job: Job) -> Iterator[tuple[str, tuple[tuple[str, str], ...]]]:
    destination = job.destination
    for encryption in _ENCRYPTIONS:
        if encryption == destination.encryption:
            continue
        key_id = None if encryption == "AES256" else destination.kms_key_id
        other = destination.model_copy(update={"encryption": encryption, "kms_key_id": key_id, "bucket_key": None})
        without = ", without kms_key_id and bucket_key," if key_id != destination.kms_key_id else ""
        yield f'set destination.encryption = "{encryption}"{without}', landing_headers(other)
    if destination.acl is None:
        yield f'set destination.acl = "{_OWNED}"', landing_headers(destination.model_copy(update={"acl": _OWNED}))


def _signed(end: Endpoint) -> Endpoint:
    return end._replace(address=end.address._replace(signs_payload=True))
