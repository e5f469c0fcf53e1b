"""The reach steps of `check`: copy modes, visible buckets, and surplus permissions."""

import re

from syncd.aws import s3
from syncd.aws.endpoint import Endpoint
from syncd.aws.policies import documents
from syncd.aws.policies.statements import replica_prefixes
from syncd.aws.s3 import Address, Answer, Request, Side
from syncd.check.identity import Actors
from syncd.check.probe import (
    ask,
    bucket_request,
    cleared,
    copy_probe,
    delete_probe,
    is_allowed_write,
    is_denied,
    probe_key,
    remedy_for,
    write_probe,
)
from syncd.check.remedies import Remedies
from syncd.check.result import Check, Status, not_tried
from syncd.config.job import Job
from syncd.config.partitions import is_aws
from syncd.tick.scope import source_prefixes

COPY_MODES, BUCKETS, SURPLUS = "copy-modes", "buckets", "surplus"
_BUCKETS_TOLD = 5


def copy_modes_check(
    job: Job, actors: Actors, source: Endpoint, destination: Endpoint, newest: str | None, remedies: Remedies
) -> Check:
    """Find out who could copy server-side, by a CopyObject with an impossible condition."""
    wanted = job.destination.copy_mode
    if job.endpoints.is_given:
        return Check(COPY_MODES, Status.INFORMATION, "stream: S3-compatible servers may overwrite on CopyObject")
    if newest is None:
        return not_tried(COPY_MODES, "there is no log to copy")
    signers = {"consumer": actors.consumer}
    if actors.wide is not None and job.source.role is not None:
        signers["role"] = actors.wide
    answers = {}
    for name, principal in signers.items():
        key = probe_key(replica_prefixes(job)[0])
        end = destination._replace(principal=principal)
        answers[name] = answer = ask(end, copy_probe(source, newest, key))
        if answer.is_ok:
            return Check(
                COPY_MODES, Status.WARNING, cleared(end, Side.DESTINATION, key), 'set destination.copy = "stream"'
            )
    able = [name for name, answer in answers.items() if answer.status == 412]
    refused = " and ".join(f"the {name} ({answer.code or answer.status})" for name, answer in answers.items())
    detail = (
        f"server-side by the {' or the '.join(able)}, and stream" if able else f"stream; not server-side by {refused}"
    )
    signer = "role" if documents.copies_by_role(job) else "consumer"
    if wanted == "server-side" and signer not in able:
        told = answers.get(signer)
        is_otherwise = told is not None and told.status != 404 and not is_denied(told)
        return Check(
            COPY_MODES, Status.FAILED, detail, remedy_for(told) if told and is_otherwise else remedies.copying()
        )
    return Check(COPY_MODES, Status.INFORMATION, detail)


def reach_checks(job: Job, source: Endpoint, remedies: Remedies, *, refuses_wrong_digests: bool) -> list[Check]:
    """Find what the role's own policies allow beyond the job's needs, changing nothing.

    `source` is signed for by a session without a session policy. `refuses_wrong_digests` is true if the server is known
    to reject a body that does not match its digest.
    """
    seen = ask(source._replace(bucket="", owner="", address=_service_address(source)), _LIST_BUCKETS)
    buckets = Check(BUCKETS, Status.INFORMATION, _buckets_sentence(source, seen))
    found = ["list the names of all buckets (ListAllMyBuckets)"] if seen.is_ok else []
    prefixes = source_prefixes(job)
    if all(prefixes) and ask(source, s3.list_objects(Side.SOURCE, "")).is_ok:
        found.append(f"list every key of s3://{source.bucket}, not only below {prefixes[0]}")
    key = probe_key(prefixes[0])
    if refuses_wrong_digests and is_allowed_write(ask(source, write_probe(Side.SOURCE, key))):
        found.append("write at the source (PutObject)")
    if _may_delete(source, key):
        found.append("delete at the source (DeleteObject)")
    who = source.principal.name.removesuffix(" (without session policy)")
    if not found:
        return [buckets, Check(SURPLUS, Status.OK, f"{who} was found to have no permission beyond the job's needs")]
    narrowed = "; syncd narrows its session to the job's needs, but others need not" if job.source.role else ""
    return [
        buckets,
        Check(SURPLUS, Status.WARNING, f"{who} can also {', '.join(found)}{narrowed}", remedies.narrowing()),
    ]


_LIST_BUCKETS = Request("ListBuckets", Side.SOURCE, "GET", "", "", ())


def _service_address(source: Endpoint) -> Address:
    """Return the address of the service itself, without the bucket in host or path."""
    address = source.address
    return address._replace(
        host=address.host.removeprefix(f"{source.bucket}."),
        base_path=address.base_path.removesuffix(f"/{source.bucket}"),
    )


def _buckets_sentence(source: Endpoint, answer: Answer) -> str:
    if not answer.is_ok:
        return "none: ListAllMyBuckets is not allowed, and no tick needs it"
    names = [name.decode() for name in re.findall(rb"<Name>([^<]+)</Name>", answer.body)]
    more = f" and {len(names) - _BUCKETS_TOLD} more" if len(names) > _BUCKETS_TOLD else ""
    return f"{source.principal.name} sees {len(names)}: {', '.join(names[:_BUCKETS_TOLD])}{more}"


def _may_delete(source: Endpoint, key: str) -> bool:
    """Try to delete a missing key, if that cannot leave a delete marker.

    Amazon S3 honours the ETag condition. Other servers may not, so there the bucket must be unversioned.
    """
    answer = ask(source, bucket_request("GetBucketVersioning", "GET", Side.SOURCE, "versioning="))
    is_unversioned = answer.is_ok and b"<Status>" not in answer.body
    if not is_unversioned and not is_aws(source.address.host):
        return False
    answer = ask(source, delete_probe(key))
    return not is_denied(answer) and answer.status in (204, 404, 412)
