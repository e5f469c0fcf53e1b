"""The operations on buckets and on whole objects."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeAlias

from faulty import checksums, multipart
from faulty.answer import Answer, S3Error, elements, s3_document
from faulty.request import Request
from faulty.storage import (
    Storage,
    check_write,
    checksum_elements,
    checksum_headers,
    copied_template,
    hold_write_conditions,
    iso,
    object_headers,
    precondition_failed,
    readable,
    stored,
    template,
    url_encoded,
    version_header,
)
from faulty.store import Bucket, continuation_token, continued_after, md5_hex
from faulty.sts import Principal

Operation: TypeAlias = Callable[[Storage, Bucket, Request, Principal], Answer]

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_MAX_KEYS = 1000


def _list_objects(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    query = request.query
    limit = min(int(query.get("max-keys", _MAX_KEYS)), _MAX_KEYS)
    # The first version of the operation, with which the AWS CLI lists digests, has a marker and no token.
    token, start_after = query.get("continuation-token"), query.get("start-after") or query.get("marker")
    try:
        after = (start_after or "") if token is None else continued_after(token)
    except ValueError:
        raise S3Error(400, "InvalidArgument", "The continuation token provided is incorrect") from None
    prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
    page = bucket.page(prefix=prefix, after=after, delimiter=delimiter, limit=limit)
    written = url_encoded if query.get("encoding-type") == "url" else str
    contents = "".join(f"<Contents>{_listed(bucket, key, written)}</Contents>" for key in page.keys)
    prefixes = "".join(
        f"<CommonPrefixes>{elements(Prefix=written(common))}</CommonPrefixes>" for common in page.prefixes
    )
    head = elements(
        Name=bucket.name,
        Prefix=written(prefix),
        Delimiter=written(delimiter) if delimiter else None,
        MaxKeys=limit,
        KeyCount=len(page.keys) + len(page.prefixes),
        EncodingType=query.get("encoding-type"),
        StartAfter=None if start_after is None else written(start_after),
        ContinuationToken=token,
        IsTruncated="true" if page.is_truncated else "false",
        NextContinuationToken=continuation_token(page.last) if page.is_truncated else None,
        NextMarker=written(page.last) if page.is_truncated and request.operation == "ListObjects" else None,
    )
    return s3_document("ListBucketResult", head + contents + prefixes)


def _listed(bucket: Bucket, key: str, written: Callable[[str], str]) -> str:
    item = bucket.objects[key]
    return elements(
        Key=written(key),
        LastModified=iso(item.last_modified),
        ETag=f'"{item.etag}"',
        ChecksumAlgorithm=next(iter(item.checksums), checksums.DEFAULT).upper(),
        ChecksumType="COMPOSITE" if item.is_composite else "FULL_OBJECT",
        Size=len(item.body),
        StorageClass=item.storage_class,
    )


def _get_bucket_location(_storage: Storage, bucket: Bucket, _request: Request, _principal: Principal) -> Answer:
    return s3_document("LocationConstraint", "" if bucket.region == "us-east-1" else bucket.region)


def _get_bucket_versioning(_storage: Storage, bucket: Bucket, _request: Request, _principal: Principal) -> Answer:
    return s3_document("VersioningConfiguration", elements(Status=bucket.versioning or None))


def _head_bucket(_storage: Storage, bucket: Bucket, _request: Request, _principal: Principal) -> Answer:
    return Answer(200, {"x-amz-bucket-region": bucket.region})


def _get_object(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    item = readable(bucket, request.key)
    _hold_read_conditions(item.etag, request)
    wanted = request.headers.get("range")
    if wanted is None:
        with_checksums = request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
        headers = object_headers(item, with_checksums=with_checksums) | version_header(item, bucket)
        return Answer(200, headers, item.body)
    begin, end = _span(wanted, len(item.body))
    headers = object_headers(item, with_checksums=False)
    headers["content-range"] = f"bytes {begin}-{end - 1}/{len(item.body)}"
    return Answer(206, headers, item.body[begin:end])


def _head_object(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    item = stored(bucket, request.key)
    _hold_read_conditions(item.etag, request)
    with_checksums = request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED"
    return Answer(200, object_headers(item, with_checksums=with_checksums), length=len(item.body))


def _hold_read_conditions(etag: str, request: Request) -> None:
    wanted, unwanted = request.headers.get("if-match"), request.headers.get("if-none-match")
    if wanted is not None and wanted.strip('"') not in ("*", etag):
        raise precondition_failed("If-Match")
    if unwanted is not None and unwanted.strip('"') in ("*", etag):
        raise S3Error(304, "NotModified", "Not Modified")


def _span(wanted: str, size: int) -> tuple[int, int]:
    """Begin and end of a Range header's bytes."""
    found = _RANGE.fullmatch(wanted)
    first, last = found.groups() if found else ("", "")
    if first:
        begin, end = int(first), min(int(last) + 1 if last else size, size)
    else:
        begin, end = max(0, size - int(last or 0)), size
    if begin >= end:
        raise S3Error(416, "InvalidRange", "The requested range is not satisfiable", ActualObjectSize=str(size))
    return begin, end


def _put_object(storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    check_write(request)
    if bucket.default_retention is not None:
        checksums.demand(request.headers)
    known = checksums.verify(request.headers, request.body)
    item = replace(template(request, storage.now()), body=request.body, etag=md5_hex(request.body), checksums=known)
    hold_write_conditions(bucket, request)
    bucket.put(request.key, item)
    headers = {"etag": f'"{item.etag}"', "x-amz-server-side-encryption": item.system["x-amz-server-side-encryption"]}
    headers |= version_header(bucket.objects[request.key], bucket)
    return Answer(200, headers | checksum_headers(item))


def _copy_object(storage: Storage, bucket: Bucket, request: Request, principal: Principal) -> Answer:
    check_write(request)
    source = storage.copy_source(request, principal)
    is_replaced = "REPLACE" in request.headers.get("x-amz-metadata-directive", "")
    if source is bucket.objects.get(request.key) and not is_replaced:
        message = "This copy request is illegal because it is trying to copy an object to itself without changing it."
        raise S3Error(400, "InvalidRequest", message)
    algorithm = request.headers.get("x-amz-checksum-algorithm")
    known = {} if source.is_composite else dict(source.checksums)
    if algorithm is not None:
        name = checksums.checked_algorithm(algorithm)
        known = {name: checksums.compute(name, source.body)}
    item = replace(
        copied_template(source, request, storage.now()),
        body=source.body,
        etag=md5_hex(source.body),
        checksums=known,
    )
    hold_write_conditions(bucket, request)
    bucket.put(request.key, item)
    content = elements(LastModified=iso(item.last_modified), ETag=f'"{item.etag}"', **checksum_elements(item))
    return s3_document("CopyObjectResult", content)


def _delete_object(storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    if storage.minds_delete_conditions:
        hold_write_conditions(bucket, request)
    bucket.delete(request.key)
    return Answer(204)


def _get_object_tagging(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    tags = stored(bucket, request.key).tags
    rows = "".join(f"<Tag>{elements(Key=name, Value=value)}</Tag>" for name, value in tags.items())
    return s3_document("Tagging", f"<TagSet>{rows}</TagSet>")


def operation_of(request: Request) -> Operation:
    """What answers the request; raises S3Error where nothing here does."""
    try:
        return _OPERATIONS[request.operation]
    except KeyError:
        raise S3Error(501, "NotImplemented", f"{request.operation} is not implemented here") from None


_OPERATIONS: Mapping[str, Operation] = {
    "ListObjects": _list_objects,
    "ListObjectsV2": _list_objects,
    "GetBucketLocation": _get_bucket_location,
    "GetBucketVersioning": _get_bucket_versioning,
    "HeadBucket": _head_bucket,
    "GetObject": _get_object,
    "HeadObject": _head_object,
    "PutObject": _put_object,
    "CopyObject": _copy_object,
    "DeleteObject": _delete_object,
    "GetObjectTagging": _get_object_tagging,
    "CreateMultipartUpload": multipart.create,
    "UploadPart": multipart.upload_part,
    "UploadPartCopy": multipart.copy_part,
    "CompleteMultipartUpload": multipart.complete,
    "AbortMultipartUpload": multipart.abort,
    "ListMultipartUploads": multipart.list_uploads,
}
