"""Who may touch which bucket, and what every operation on objects shares."""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from email.utils import format_datetime
from urllib.parse import parse_qsl, quote_plus, unquote

from faulty import checksums
from faulty.answer import S3Error
from faulty.request import Request
from faulty.store import STANDARD, Bucket, StoredObject
from faulty.sts import Principal

META = "x-amz-meta-"
_MAX_KEY_BYTES = 1024
_SYSTEM_HEADERS = (
    "cache-control",
    "content-disposition",
    "content-language",
    "expires",
    "x-amz-server-side-encryption-aws-kms-key-id",
)
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")
_OWNER_ENFORCED_ACL = "bucket-owner-full-control"


class Storage:
    """All buckets of all accounts; the namespace of their names is global."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self.buckets: dict[str, Bucket] = {}
        self.lock = threading.RLock()
        self.min_part_bytes = 5 * 1024 * 1024
        """S3's own bound for all parts but the last."""
        self.minds_delete_conditions = True
        """S3 holds If-Match of DeleteObject; other servers delete whatever is there."""

    def now(self) -> datetime:
        """To the second, as S3 keeps it."""
        return self._clock().replace(microsecond=0)

    def bucket(self, request: Request, principal: Principal) -> Bucket:
        """The bucket that the request names, as far as this principal may have it."""
        bucket = self._accessible(request.bucket, request.headers.get("x-amz-expected-bucket-owner"), principal)
        if request.signing_region != bucket.region:
            message = (
                f"The authorization header is malformed; the region '{request.signing_region}' is wrong; "
                f"expecting '{bucket.region}'"
            )
            raise S3Error(400, "AuthorizationHeaderMalformed", message, Region=bucket.region)
        return bucket

    def copy_source(self, request: Request, principal: Principal) -> StoredObject:
        """The object that `x-amz-copy-source` names, its conditions held; raises S3Error."""
        path, _, _version = request.headers["x-amz-copy-source"].partition("?")
        name, _, key = unquote(path).removeprefix("/").partition("/")
        owner = request.headers.get("x-amz-source-expected-bucket-owner")
        source = stored(self._accessible(name, owner, principal), key)
        if source.storage_class in _ARCHIVED:
            raise _archived()
        wanted = request.headers.get("x-amz-copy-source-if-match")
        unwanted = request.headers.get("x-amz-copy-source-if-none-match")
        if wanted is not None and wanted.strip('"') != source.etag:
            raise precondition_failed("x-amz-copy-source-If-Match")
        if unwanted is not None and unwanted.strip('"') == source.etag:
            raise precondition_failed("x-amz-copy-source-If-None-Match")
        return source

    def _accessible(self, name: str, expected_owner: str | None, principal: Principal) -> Bucket:
        bucket = self.buckets.get(name)
        if bucket is None:
            raise S3Error(404, "NoSuchBucket", "The specified bucket does not exist", BucketName=name)
        is_allowed = principal.account_id == bucket.account_id or principal.account_id in bucket.shared_with
        if not is_allowed or expected_owner not in (None, bucket.account_id):
            raise S3Error(403, "AccessDenied", "Access Denied")
        return bucket


def stored(bucket: Bucket, key: str) -> StoredObject:
    """The object; raises S3Error where there is none."""
    item = bucket.objects.get(key)
    if item is None:
        raise S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=key)
    return item


def readable(bucket: Bucket, key: str) -> StoredObject:
    """The object, not archived."""
    item = stored(bucket, key)
    if item.storage_class in _ARCHIVED:
        raise _archived()
    return item


def hold_write_conditions(bucket: Bucket, request: Request) -> None:
    """If-None-Match and If-Match of a write, against what is there."""
    present = bucket.objects.get(request.key)
    if request.headers.get("if-none-match") == "*" and present is not None:
        raise precondition_failed("If-None-Match")
    wanted = request.headers.get("if-match")
    if wanted is not None:
        if present is None:
            raise S3Error(404, "NoSuchKey", "The specified key does not exist.", Key=request.key)
        if wanted.strip('"') != present.etag:
            raise precondition_failed("If-Match")


def check_write(request: Request) -> None:
    """The bounds that S3 sets to a key, to tags and an ACL; buckets here have their ACLs turned off, as new ones have."""
    _hold_tags(name for name, _ in parse_qsl(request.headers.get("x-amz-tagging", ""), keep_blank_values=True))
    if len(request.key.encode()) > _MAX_KEY_BYTES:
        raise S3Error(400, "KeyTooLongError", "Your key is too long", MaxSizeAllowed=str(_MAX_KEY_BYTES))
    if request.headers.get("x-amz-acl", _OWNER_ENFORCED_ACL) != _OWNER_ENFORCED_ACL:
        raise S3Error(400, "AccessControlListNotSupported", "The bucket does not allow ACLs")


def _hold_tags(tags: Iterable[str]) -> None:
    """S3 takes no "system tags" from anybody (InvalidTag, "Error responses", S3 API Reference)."""
    if any(name.lower().startswith("aws:") for name in tags):
        raise S3Error(400, "InvalidTag", "System tags cannot be added/updated by requester")


def template(request: Request, now: datetime) -> StoredObject:
    """An object without a body, with the properties that the request's headers give it."""
    headers = request.headers
    system = {name: headers[name] for name in _SYSTEM_HEADERS if name in headers}
    system["x-amz-server-side-encryption"] = headers.get("x-amz-server-side-encryption", "AES256")
    return StoredObject(
        body=b"",
        etag="",
        last_modified=now,
        metadata={name.removeprefix(META): value for name, value in headers.items() if name.startswith(META)},
        content_type=headers.get("content-type", "binary/octet-stream"),
        content_encoding=headers.get("content-encoding", ""),
        storage_class=headers.get("x-amz-storage-class", STANDARD),
        tags=dict(parse_qsl(headers.get("x-amz-tagging", ""), keep_blank_values=True)),
        system=system,
    )


def copied_template(source: StoredObject, request: Request, now: datetime) -> StoredObject:
    """As `template`; metadata and tags are the source's unless the request says REPLACE."""
    given = template(request, now)
    if request.headers.get("x-amz-metadata-directive", "COPY") == "COPY":
        kept = {name: value for name, value in source.system.items() if not name.startswith("x-amz-")}
        given = replace(
            given,
            metadata=source.metadata,
            content_type=source.content_type,
            content_encoding=source.content_encoding,
            system={**given.system, **kept},
        )
    if request.headers.get("x-amz-tagging-directive", "COPY") == "COPY":
        _hold_tags(source.tags)
        given = replace(given, tags=source.tags)
    return given


def object_headers(item: StoredObject, *, with_checksums: bool) -> dict[str, str]:
    """What GET and HEAD say of an object."""
    headers = {
        "etag": f'"{item.etag}"',
        "last-modified": format_datetime(item.last_modified, usegmt=True),
        "content-type": item.content_type,
        "accept-ranges": "bytes",
        **item.system,
        **{f"{META}{name}": value for name, value in item.metadata.items()},
    }
    if item.content_encoding:
        headers["content-encoding"] = item.content_encoding
    if item.storage_class != STANDARD:
        headers["x-amz-storage-class"] = item.storage_class
    if item.tags:
        headers["x-amz-tagging-count"] = str(len(item.tags))
    return headers | checksum_headers(item) if with_checksums else headers


def version_header(item: StoredObject, bucket: Bucket) -> dict[str, str]:
    """The version, which S3 tells of every object in a bucket that has or had versions."""
    return {"x-amz-version-id": item.version_id or "null"} if bucket.versioning else {}


def checksum_headers(item: StoredObject) -> dict[str, str]:
    """The checksum that is kept, or the one that S3 makes by itself."""
    known = item.checksums or {checksums.DEFAULT: checksums.compute(checksums.DEFAULT, item.body)}
    kind = "COMPOSITE" if item.is_composite else "FULL_OBJECT"
    return {f"{checksums.HEADER}{name}": value for name, value in known.items()} | {f"{checksums.HEADER}type": kind}


def checksum_elements(item: StoredObject) -> Mapping[str, str]:
    """The same as elements of a result document."""
    known = {f"Checksum{name.upper()}": value for name, value in item.checksums.items()}
    return known | {"ChecksumType": "COMPOSITE" if item.is_composite else "FULL_OBJECT"} if known else known


def iso(at: datetime) -> str:
    """As S3 writes times in documents."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.000Z"


def url_encoded(text: str) -> str:
    """As listings do it under `encoding-type=url`: a space is a plus."""
    return quote_plus(text, safe="/*-._")


def precondition_failed(condition: str) -> S3Error:
    """The 412 that names its condition."""
    message = "At least one of the pre-conditions you specified did not hold"
    return S3Error(412, "PreconditionFailed", message, Condition=condition)


def _archived() -> S3Error:
    return S3Error(403, "InvalidObjectState", "The operation is not valid for the object's storage class")
