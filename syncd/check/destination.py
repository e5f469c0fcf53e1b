"""The destination steps of `check`: bucket, region, listing, writing, reading, bucket settings."""

import re
from collections.abc import Sequence

from syncd.aws import s3
from syncd.aws.answers import reason_of
from syncd.aws.endpoint import Endpoint
from syncd.aws.policies.statements import proving, replica_prefixes
from syncd.aws.s3 import Answer, Request, Side
from syncd.check import cures
from syncd.check.probe import (
    ask,
    bucket_request,
    cleared,
    is_allowed_write,
    is_denied,
    of_any_owner,
    probe_key,
    remedy_for,
    told,
    write_probe,
)
from syncd.check.remedies import Remedies
from syncd.check.result import Check, Status, not_tried
from syncd.check.source import place_checks
from syncd.config.job import Job
from syncd.job.copies import landing_headers
from syncd.model import reasons
from syncd.model.reasons import OF_A_KEY, Reason

BUCKET, REGION, LIST = "destination-bucket", "destination-region", "destination-list"
WRITE, READ = "destination-write", "destination-read"
OWNERSHIP, OBJECT_LOCK, VERSIONING = "ownership", "object-lock", "versioning"
_SIDE = Side.DESTINATION
_PREFIXES_WRITTEN = 20


def destination_checks(job: Job, end: Endpoint, remedies: Remedies) -> tuple[list[Check], bool]:
    """Run the destination's steps as the consumer. Also returns True if the server rejects wrong digests."""
    prefixes = replica_prefixes(job)
    requests = [s3.list_objects(_SIDE, prefix) for prefix in prefixes]
    answers = [ask(end, request) for request in requests]
    checks, is_there = place_checks(job, end, requests[0], answers, job_key="destination", names=(BUCKET, REGION))
    if not is_there:
        later = (LIST, WRITE, READ, OWNERSHIP, OBJECT_LOCK, VERSIONING)
        return [*checks, *(not_tried(name, f"see {checks[0].name}") for name in later)], False
    listed = _list_check(end, prefixes, answers, remedies)
    written, keeps_nothing = _write_check(job, end, prefixes, remedies)
    if written.name == BUCKET:
        checks = [written, *checks[1:]]
        written = not_tried(WRITE, f"see {BUCKET}")
    read = _read_check(end, prefixes[0], remedies, can_list=listed.status is Status.OK)
    return [*checks, listed, written, read, *_setting_checks(job, end)], keeps_nothing


def _list_check(end: Endpoint, prefixes: Sequence[str], answers: Sequence[Answer], remedies: Remedies) -> Check:
    refused = [(prefix, answer) for prefix, answer in zip(prefixes, answers, strict=True) if not answer.is_ok]
    if not refused:
        return Check(LIST, Status.OK, f"ListObjectsV2 by {end.principal.name} of s3://{end.bucket}/{prefixes[0]}")
    prefix, answer = refused[0]
    # A tick does not need it, because it writes conditionally. Only rebuilding a lost state does.
    blind = "a lost state could not be rebuilt from the destination"
    remedy = remedies.listing_replicas(answer.message) if is_denied(answer) else remedy_for(answer)
    return Check(LIST, Status.WARNING, f"{told(end, 'ListObjectsV2', prefix, answer)}; {blind}", remedy)


def _write_check(job: Job, end: Endpoint, prefixes: Sequence[str], remedies: Remedies) -> tuple[Check, bool]:
    for prefix in prefixes[:_PREFIXES_WRITTEN]:
        key, landing = probe_key(prefix), landing_headers(job.destination)
        request = write_probe(_SIDE, key, landing)
        answer = ask(end, request)
        detail = told(end, "PutObject", key, answer)
        if is_allowed_write(answer):
            if cures.is_about_payload(end, key, landing, answer):
                return Check(WRITE, Status.FAILED, detail, cures.SIGN_PAYLOADS), True
            continue
        if answer.is_ok:
            remedy = "use a server that verifies x-amz-checksum-sha256; otherwise a damaged write goes unnoticed"
            return Check(WRITE, Status.WARNING, cleared(end, _SIDE, key), remedy), False
        if is_denied(answer) and is_allowed_write(ask(of_any_owner(end), request)):
            remedy = "correct consumer.account_id or destination.bucket in the job: another account owns this bucket"
            remedy += f"; or {cures.OWNER}" if job.endpoints.is_given else ""
            owner = f"{end.bucket} does not belong to account {end.owner}"
            return Check(BUCKET, Status.FAILED, f"{detail}; {owner}", remedy), True
        remedy = cures.of_a_write(job, end, key, answer) or _write_remedy(job, answer, remedies)
        return Check(WRITE, Status.FAILED, detail, remedy), False
    detail = f"PutObject by {end.principal.name} of s3://{end.bucket}/{prefixes[0]}…: allowed, and nothing was written"
    return Check(WRITE, Status.OK, detail), True


def _write_remedy(job: Job, answer: Answer, remedies: Remedies) -> str:
    if answer.code == "AccessControlListNotSupported":
        return "remove destination.acl from the job: the bucket does not accept ACLs"
    if reason_of(answer.status, answer.code, answer.message) in OF_A_KEY - {Reason.KMS_DENIED}:
        return remedy_for(answer)
    key_id = job.destination.kms_key_id
    if key_id is not None and "kms" in (answer.code + answer.message).lower() and not is_denied(answer):
        return f"correct destination.kms_key_id ({key_id}): the key must be enabled and in the bucket's region"
    if is_denied(answer):
        return remedies.writing(answer.message)
    if answer.status == 400 and remedy_for(answer) == reasons.remedy_of(Reason.UNEXPECTED):
        return "compare the answer quoted here with [destination] in the job"
    return remedy_for(answer)


def _read_check(end: Endpoint, prefix: str, remedies: Remedies, *, can_list: bool) -> Check:
    """Read a missing key. S3 answers 404 to those who can list and read, 403 to others."""
    key = probe_key(prefix)
    request = Request("GetObject", _SIDE, "GET", key, "", ())
    answer = ask(end, request)
    if reason_of(answer.status, answer.code) is Reason.OBJECT_GONE:
        return Check(READ, Status.OK, f"GetObject by {end.principal.name} of s3://{end.bucket}/{prefix}…: allowed")
    detail = told(end, "GetObject", key, answer)
    if is_denied(answer) and not can_list:
        return Check(READ, Status.INFORMATION, f"{detail}; this can be checked only once {LIST} is allowed")
    remedy = remedies.comparing(answer.message) if is_denied(answer) else remedy_for(answer)
    return Check(READ, Status.FAILED, f"{detail}; an existing replica could not be compared", remedy)


def _setting_checks(job: Job, end: Endpoint) -> list[Check]:
    """Report the bucket's settings. No tick needs them, so a refusal is not a failure."""
    ownership = _asked(end, "GetBucketOwnershipControls", "ownershipControls")
    lock = _asked(end, "GetObjectLockConfiguration", "object-lock")
    versioning = _asked(end, "GetBucketVersioning", "versioning")
    return [
        _ownership_check(job, ownership),
        Check(OBJECT_LOCK, Status.INFORMATION, _lock_sentence(lock)),
        _versioning_check(job, versioning),
    ]


def _asked(end: Endpoint, operation: str, query: str) -> Answer:
    return ask(end, bucket_request(operation, "GET", _SIDE, f"{query}="))


def _ownership_check(job: Job, answer: Answer) -> Check:
    if not answer.is_ok and answer.status != 404:
        return Check(OWNERSHIP, Status.INFORMATION, f"cannot be seen ({answer.code}); no tick needs to")
    says = _text(answer, "ObjectOwnership") if answer.is_ok else "ObjectWriter"
    is_by_role = job.destination.copy_mode == "server-side" and job.destination.signer != "consumer"
    if is_by_role and job.source.role is not None and says == "ObjectWriter" and job.destination.acl is None:
        return Check(
            OWNERSHIP,
            Status.WARNING,
            f"{says or 'ObjectWriter'}: objects that the role writes server-side belong to account {job.source.account_id}",
            f"in account {job.consumer.account_id}: aws s3api put-bucket-ownership-controls --bucket"
            f" {job.destination.bucket} --ownership-controls Rules=[{{ObjectOwnership=BucketOwnerEnforced}}]",
        )
    return Check(OWNERSHIP, Status.OK, f"{says}: replicas belong to account {job.consumer.account_id}")


def _lock_sentence(answer: Answer) -> str:
    if answer.status == 404:
        return "off"
    if not answer.is_ok:
        return f"cannot be seen ({answer.code}); no tick needs to"
    if _text(answer, "ObjectLockEnabled") != "Enabled":
        return "off"
    mode, days, years = (_text(answer, name) for name in ("Mode", "Days", "Years"))
    span = f"{days} days" if days else f"{years} years"
    return f"on: each replica is kept in {mode} mode for {span}" if mode else "on, without a default retention"


def _versioning_check(job: Job, answer: Answer) -> Check:
    status = (_text(answer, "Status") or "never enabled").lower()
    told = status if answer.is_ok else f"cannot be seen ({answer.code}); no tick needs to"
    if not proving(job):
        # Only digests vouch for a replacement.
        return Check(VERSIONING, Status.INFORMATION, told)
    if answer.is_ok and status == "enabled":
        return Check(
            VERSIONING, Status.INFORMATION, f"{told}: `verify --repair` writes a newer version of an altered replica"
        )
    remedy = "" if answer.is_ok else f"for newer versions, add what `syncd policies {job.name} --repair` prints"
    return Check(VERSIONING, Status.INFORMATION, f"{told}: `verify --repair` writes beside an altered replica", remedy)


def _text(answer: Answer, name: str) -> str:
    found = re.search(rf"<{name}>([^<]*)</{name}>".encode(), answer.body)
    return found[1].decode() if found else ""
