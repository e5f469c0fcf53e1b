"""The source steps of `check`: bucket, region, listing, folders, and reading two objects."""

from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from syncd.aws import s3
from syncd.aws.answers import reason_of
from syncd.aws.endpoint import Endpoint
from syncd.aws.listing import BucketLister
from syncd.aws.s3 import Answer, Request, Side
from syncd.check.probe import ask, is_denied, is_elsewhere, of_any_owner, region_told, remedy_for, told
from syncd.check.remedies import Remedies
from syncd.check.result import Check, Status, not_tried
from syncd.config.job import Job
from syncd.model.errors import JobFailed
from syncd.model.keys.layout import Layout
from syncd.model.keys.stamps import day_start, stamp_of
from syncd.model.keys.trail import Node, children, roots, top
from syncd.model.objects import LogObject, Range, Shard
from syncd.model.reasons import Reason
from syncd.tick.scope import layout_of, scope_of, shard_of, source_prefixes

BUCKET, REGION, LIST, READ, KMS = "source-bucket", "source-region", "source-list", "source-read", "source-kms"
FOLDERS = "source-folders"
_FOLDERS_NAMED = 5
# In a large organization, a few folders at each end represent the rest.
_FOLDERS_AT_EACH_END = 2
_RECENT_SECONDS = 2 * 3600.0

T = TypeVar("T")


class SourceFound(NamedTuple):
    """The source's results, with the newest object for later steps."""

    checks: Sequence[Check]
    newest: LogObject | None = None
    is_readable: bool = False


def source_checks(job: Job, end: Endpoint, remedies: Remedies, *, now: float) -> SourceFound:
    """Run the source's steps with the principal that a tick reads with."""
    prefixes = source_prefixes(job)
    requests = [s3.list_objects(Side.SOURCE, prefix) for prefix in prefixes]
    answers = [ask(end, request) for request in requests]
    place, is_there = place_checks(end, requests[0], answers, job_key="source", names=(BUCKET, REGION))
    if not is_there:
        return SourceFound([*place, *(not_tried(name, f"see {place[-1].name}") for name in (LIST, FOLDERS, READ, KMS))])
    listed = _list_check(end, prefixes, answers, remedies)
    if listed.status is Status.FAILED:
        return SourceFound([*place, listed, *(not_tried(name, f"see {LIST}") for name in (FOLDERS, READ, KMS))])
    try:
        samples, uncovered = _samples(job, end, now)
    except JobFailed as error:
        remedy = remedies.listing(error.detail) if error.reason == Reason.ACCESS_DENIED else error.remedy
        failed = Check(LIST, Status.FAILED, error.detail, remedy)
        return SourceFound([*place, failed, *(not_tried(name, f"see {LIST}") for name in (FOLDERS, READ, KMS))])
    folders = _folders_check(job, uncovered)
    if not samples:
        where = ", ".join(prefix or f"s3://{end.bucket}/" for prefix in prefixes[:_FOLDERS_NAMED])
        empty = Check(LIST, Status.WARNING, f"{listed.detail}: nothing found yet under {where}", _empty_remedy(job))
        not_read = (not_tried(name, "there is no log to read") for name in (READ, KMS))
        return SourceFound([*place, empty, folders, *not_read])
    checks, is_readable = _read_checks(end, samples, remedies)
    return SourceFound([*place, listed, folders, *checks], samples[-1], is_readable)


def place_checks(
    end: Endpoint, request: Request, answers: Sequence[Answer], *, job_key: str, names: tuple[str, str]
) -> tuple[list[Check], bool]:
    """Judge the bucket's existence, owner and region by the answers to its listings."""
    bucket, region = names
    call, key = request.operation, ""
    first = answers[0]
    if first.status == 404:
        otherwise = "ask its owner which bucket the trail delivers to" if job_key == "source" else "create the bucket"
        remedy = f"correct {job_key}.bucket in the job, or {otherwise}"
        failed = Check(bucket, Status.FAILED, told(end, call, key, first), remedy)
        return [failed, not_tried(region, f"see {bucket}")], False
    if not any(answer.is_ok or is_denied(answer) or is_elsewhere(answer) for answer in answers):
        failed = Check(bucket, Status.FAILED, told(end, call, key, first), remedy_for(first))
        return [failed, not_tried(region, f"see {bucket}")], False
    if all(map(is_denied, answers)) and ask(of_any_owner(end), request).is_ok:
        owner = f"{end.bucket} does not belong to account {end.owner}"
        account_key = "source.account_id" if job_key == "source" else "consumer.account_id"
        remedy = f"correct {account_key} or {job_key}.bucket in the job: another account owns this bucket"
        failed = Check(bucket, Status.FAILED, f"{told(end, call, key, first)}; {owner}", remedy)
        return [failed, not_tried(region, f"see {bucket}")], False
    is_known = any(answer.is_ok for answer in answers)
    detail = f"s3://{end.bucket} exists" + (f", and account {end.owner} owns it" if is_known else "")
    there = Check(bucket, Status.OK, detail)
    says = next((found for answer in answers if (found := region_told(answer))), None)
    wanted = end.address.region
    if is_elsewhere(first) or says not in (None, wanted):
        remedy = f'set {job_key}.region = "{says}" in the job' if says else f"correct {job_key}.region in the job"
        elsewhere = f"s3://{end.bucket} is in {says or 'another region'}, and {job_key}.region is {wanted}"
        return [there, Check(region, Status.FAILED, elsewhere, remedy)], not is_elsewhere(first)
    detail = f"{wanted}, as S3 says" if says else f"requests signed for {wanted} are answered"
    return [there, Check(region, Status.OK, detail)], True


def _list_check(end: Endpoint, prefixes: Sequence[str], answers: Sequence[Answer], remedies: Remedies) -> Check:
    refused = [(prefix, answer) for prefix, answer in zip(prefixes, answers, strict=True) if not answer.is_ok]
    if refused:
        prefix, answer = refused[0]
        more = f" (and {len(refused) - 1} more prefixes)" if len(refused) > 1 else ""
        remedy = remedies.listing(answer.message) if is_denied(answer) else remedy_for(answer)
        return Check(LIST, Status.FAILED, told(end, "ListObjectsV2", prefix, answer) + more, remedy)
    where = prefixes[0] if len(prefixes) == 1 else f"{len(prefixes)} prefixes, such as {prefixes[0]}"
    return Check(LIST, Status.OK, f"ListObjectsV2 by {end.principal.name} of s3://{end.bucket}/{where}")


def _empty_remedy(job: Job) -> str:
    if not job.source.is_cloudtrail:
        return "check source.prefix in the job"
    named = "source.prefix (the trail's S3KeyPrefix), source.organization_id and source.accounts"
    return f"compare {named} in the job with the keys in the bucket; if the trail is new, wait for its first delivery"


def _folders_check(job: Job, uncovered: Sequence[str]) -> Check:
    """Report folders that the job neither covers nor ignores, which hold back its horizon."""
    scope = scope_of(job)
    if scope is None or job.source.accounts != "*":
        return not_tried(FOLDERS, "the job names what it copies")
    if not uncovered:
        return Check(FOLDERS, Status.OK, f"every folder under {top(scope)} is covered or ignored")
    named = ", ".join(uncovered[:_FOLDERS_NAMED])
    more = f" and {len(uncovered) - _FOLDERS_NAMED} more" if len(uncovered) > _FOLDERS_NAMED else ""
    remedy = (
        f"copy them with a job of their own, or leave them out: source.ignore = {list(uncovered[:_FOLDERS_NAMED])};"
        ' a job with accounts, kinds and regions = "*" copies every folder'
    )
    return Check(
        FOLDERS, Status.WARNING, f"not covered by the job, whose horizon waits for them: {named}{more}", remedy
    )


def _samples(job: Job, end: Endpoint, now: float) -> tuple[list[LogObject], Sequence[str]]:
    """Return the oldest and newest object, if any, and the folders that are not covered."""
    lister = BucketLister(end, Side.SOURCE, now=lambda: now)
    layout = layout_of(job)
    found: list[LogObject] = []
    shards, uncovered = _shards(job, lister)
    for shard in shards:
        found += _ends_of(shard, lister, layout, now)
    found.sort(key=lambda item: stamp_of(item.key) or item.last_modified)
    return (found[:1] + found[-1:] if len(found) > 1 else found), uncovered


def _shards(job: Job, lister: BucketLister) -> tuple[list[Shard], list[str]]:
    """Return some of the job's shards, and folders that are not covered."""
    scope = scope_of(job)
    if scope is None:
        shard = shard_of(job)
        assert shard is not None
        return [shard], []
    nodes, shards = roots(scope)
    uncovered: list[str] = []
    while nodes:
        by_prefix: dict[str, Node] = {node.prefix: node for node in _edges(nodes)}
        nodes = []
        for folder in lister.folders(by_prefix):
            below = children(by_prefix[folder.prefix], folder.prefixes, scope)
            nodes += below.nodes
            shards += _edges(below.shards)
            uncovered += below.uncovered
    return _edges(shards), uncovered


def _edges(items: Sequence[T]) -> list[T]:
    """Return some items from each end."""
    if len(items) <= 2 * _FOLDERS_AT_EACH_END:
        return list(items)
    return [*items[:_FOLDERS_AT_EACH_END], *items[-_FOLDERS_AT_EACH_END:]]


def _ends_of(shard: Shard, lister: BucketLister, layout: Layout, now: float) -> list[LogObject]:
    """Return the first object of a shard, and one of the newest."""
    first = _page(shard, "", lister)
    if not first:
        return []
    last = _page(shard, layout.position(shard, now - _RECENT_SECONDS), lister) if shard.region else first
    if not last:
        day = _newest_day(shard, lister)
        last = _page(shard, layout.position(shard, day_start(day), whole_day=True), lister) if day else first
    return [
        min(first, key=lambda item: layout.stamp(shard, item)),
        max(last or first, key=lambda item: layout.stamp(shard, item)),
    ]


def _newest_day(shard: Shard, lister: BucketLister) -> str:
    """Return a shard's newest day folder as `YYYY-MM-DD`, or "" if there is none. Takes up to three listings."""
    prefix = shard.prefix
    parts: list[str] = []
    for width in (4, 2, 2):
        names = [
            name[len(prefix) : -1]
            for folder in lister.folders([prefix])
            for name in folder.prefixes
            if len(name) == len(prefix) + width + 1 and name[len(prefix) : -1].isdigit()
        ]
        if not names:
            return ""
        parts.append(max(names))
        prefix += f"{parts[-1]}/"
    day = "-".join(parts)
    try:
        day_start(day)
    except ValueError:
        return ""
    return day


def _page(shard: Shard, start_after: str, lister: BucketLister) -> Sequence[LogObject]:
    """Return the objects of the first page after a key."""
    for page in lister.pages([Range(shard, start_after, until=f"{shard.prefix}\U0010ffff")]):
        if page is not None:
            return page.objects
    return ()


def _read_checks(end: Endpoint, samples: Sequence[LogObject], remedies: Remedies) -> tuple[list[Check], bool]:
    answers = [(item, ask(end, _get(item.key))) for item in samples]
    key_ids = {
        answer.headers.get("x-amz-server-side-encryption-aws-kms-key-id", "of the account's own")
        for _, answer in answers
        if answer.headers.get("x-amz-server-side-encryption", "").startswith("aws:kms")
    }
    refused = [(item, answer) for item, answer in answers if not answer.is_ok and answer.status != 416]
    if not refused:
        ages = " and the oldest" if len(samples) > 1 else ""
        read = Check(
            READ, Status.OK, f"GetObject by {end.principal.name} of the newest{ages} object, {samples[-1].key}"
        )
        kms = f"decrypted with KMS key {', '.join(sorted(key_ids))}" if key_ids else "no KMS key in use"
        return [read, Check(KMS, Status.OK, kms)], True
    item, answer = refused[0]
    detail = told(end, "GetObject", item.key, answer)
    remedy = remedies.reading(answer.message) if is_denied(answer) else remedy_for(answer)
    if reason_of(answer.status, answer.code, answer.message) == Reason.KMS_DENIED:
        allowed = Check(READ, Status.OK, f"S3 lets {end.principal.name} read {item.key}")
        return [allowed, Check(KMS, Status.FAILED, detail, remedy)], False
    if is_denied(answer):
        return [Check(READ, Status.FAILED, detail, remedy), not_tried(KMS, f"see {READ}")], False
    if answer.code == "InvalidObjectState":
        remedy = "ask the source's owner to restore archived objects; ticks skip and count them"
        return [Check(READ, Status.WARNING, detail, remedy), not_tried(KMS, f"see {READ}")], len(refused) < len(answers)
    return [Check(READ, Status.FAILED, detail, remedy), not_tried(KMS, f"see {READ}")], False


def _get(key: str) -> Request:
    return Request("GetObject", Side.SOURCE, "GET", key, "", (("range", "bytes=0-0"),))
