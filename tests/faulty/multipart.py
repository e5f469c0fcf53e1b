"""Multipart uploads."""

import hashlib
import re
import secrets
from dataclasses import replace
from xml.etree.ElementTree import Element, ParseError, fromstring

from faulty import checksums
from faulty.answer import Answer, S3Error, elements, s3_document
from faulty.request import Request
from faulty.storage import (
    Storage,
    check_write,
    checksum_elements,
    hold_write_conditions,
    iso,
    template,
)
from faulty.store import Bucket, Part, StoredObject, Upload, md5_hex
from faulty.sts import Principal

_RANGE = re.compile(r"bytes=(\d+)-(\d+)")
_MAX_PARTS = 10_000


def create(storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    """CreateMultipartUpload: SHA-1 and SHA-256 are composite, CRC64NVME is of the whole object, others may be either."""
    check_write(request)
    algorithm = checksums.checked_algorithm(request.headers.get("x-amz-checksum-algorithm", checksums.DEFAULT))
    given = request.headers.get("x-amz-checksum-type", "").upper()
    is_composite = algorithm not in checksums.FULL_OBJECT_ONLY and given != "FULL_OBJECT"
    if given == "FULL_OBJECT" and algorithm.startswith("sha"):
        raise S3Error(400, "InvalidRequest", f"The FULL_OBJECT checksum type cannot be used with {algorithm.upper()}.")
    name = secrets.token_urlsafe(24)
    bucket.uploads[name] = Upload(request.key, template(request, storage.now()), algorithm, is_composite)
    content = elements(Bucket=bucket.name, Key=request.key, UploadId=name)
    return s3_document("InitiateMultipartUploadResult", content)


def upload_part(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    """UploadPart."""
    upload = _upload(bucket, request)
    if bucket.default_retention is not None:
        checksums.demand(request.headers)
    known = checksums.verify(request.headers, request.body)
    if upload.is_composite and upload.algorithm not in known and "x-amz-checksum-algorithm" in request.headers:
        raise S3Error(400, "InvalidRequest", f"Checksum Type mismatch occurred, expected {upload.algorithm}")
    part = _add_part(upload, request, request.body)
    return Answer(200, {"etag": f'"{part.etag}"', f"{checksums.HEADER}{upload.algorithm}": part.checksum})


def copy_part(storage: Storage, bucket: Bucket, request: Request, principal: Principal) -> Answer:
    """UploadPartCopy, of the whole source or of a range of it."""
    upload = _upload(bucket, request)
    source = storage.copy_source(request, principal)
    wanted = request.headers.get("x-amz-copy-source-range")
    body = source.body
    if wanted is not None:
        found = _RANGE.fullmatch(wanted)
        if found is None or int(found[2]) >= len(body) or int(found[1]) > int(found[2]):
            raise S3Error(416, "InvalidRange", f"Range specified is not valid for source object of size: {len(body)}")
        body = body[int(found[1]) : int(found[2]) + 1]
    part = _add_part(upload, request, body)
    content = elements(
        LastModified=iso(storage.now()), ETag=f'"{part.etag}"', **{f"Checksum{upload.algorithm.upper()}": part.checksum}
    )
    return s3_document("CopyPartResult", content)


def complete(storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    """CompleteMultipartUpload; the upload stays where a condition fails, as on S3."""
    upload = _upload(bucket, request)
    parts = _named_parts(upload, request)
    if any(len(part.body) < storage.min_part_bytes for part in parts[:-1]):
        raise S3Error(400, "EntityTooSmall", "Your proposed upload is smaller than the minimum allowed size")
    hold_write_conditions(bucket, request)
    item = _joined(upload, parts)
    bucket.put(request.key, replace(item, last_modified=storage.now()))
    del bucket.uploads[request.query["uploadId"]]
    content = elements(
        Location=f"/{bucket.name}/{request.key}",
        Bucket=bucket.name,
        Key=request.key,
        ETag=f'"{item.etag}"',
        **checksum_elements(item),
    )
    return s3_document("CompleteMultipartUploadResult", content)


def abort(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    """AbortMultipartUpload."""
    _upload(bucket, request)
    del bucket.uploads[request.query["uploadId"]]
    return Answer(204)


def list_uploads(_storage: Storage, bucket: Bucket, request: Request, _principal: Principal) -> Answer:
    """ListMultipartUploads, all on one page."""
    prefix = request.query.get("prefix", "")
    rows = "".join(
        f"<Upload>{elements(Key=upload.key, UploadId=name, Initiated=iso(upload.template.last_modified))}</Upload>"
        for name, upload in sorted(bucket.uploads.items(), key=lambda pair: pair[1].key.encode())
        if upload.key.startswith(prefix)
    )
    return s3_document("ListMultipartUploadsResult", elements(Bucket=bucket.name, IsTruncated="false") + rows)


def _upload(bucket: Bucket, request: Request) -> Upload:
    upload = bucket.uploads.get(request.query["uploadId"])
    if upload is None or upload.key != request.key:
        message = "The specified upload does not exist. The upload ID may be invalid, or the upload may have been "
        raise S3Error(404, "NoSuchUpload", message + "aborted or completed.")
    return upload


def _add_part(upload: Upload, request: Request, body: bytes) -> Part:
    number = int(request.query["partNumber"])
    if not 1 <= number <= _MAX_PARTS:
        raise S3Error(400, "InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive")
    upload.parts[number] = part = Part(body, md5_hex(body), checksums.compute(upload.algorithm, body))
    return part


def _named_parts(upload: Upload, request: Request) -> list[Part]:
    """The parts that the request's document names, in its order, each held against what it says of them."""
    try:
        root = fromstring(request.body)
    except ParseError:
        raise S3Error(400, "MalformedXML", "The XML you provided was not well-formed") from None
    named = [_fields(element) for element in root]
    numbers = [int(fields["PartNumber"]) for fields in named]
    if numbers != sorted(set(numbers)) or not numbers:
        raise S3Error(400, "InvalidPartOrder", "The list of parts was not in ascending order.")
    checksum_name = f"Checksum{upload.algorithm.upper()}"
    for fields, number in zip(named, numbers, strict=True):
        part = upload.parts.get(number)
        given = fields.get(checksum_name)
        if part is None or fields.get("ETag", "").strip('"') != part.etag or given not in (None, part.checksum):
            raise S3Error(400, "InvalidPart", "One or more of the specified parts could not be found.")
        if upload.is_composite and given is None:
            message = f"The upload was created using a {upload.algorithm} checksum. The complete request must include "
            raise S3Error(400, "InvalidRequest", message + "the checksum for each part.")
    return [upload.parts[number] for number in numbers]


def _fields(element: Element) -> dict[str, str]:
    return {child.tag.rpartition("}")[2]: (child.text or "").strip() for child in element}


def _joined(upload: Upload, parts: list[Part]) -> StoredObject:
    body = b"".join(part.body for part in parts)
    digests = b"".join(bytes.fromhex(part.etag) for part in parts)
    etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
    if upload.is_composite:
        checksum = checksums.compute_composite(upload.algorithm, [part.checksum for part in parts])
    else:
        checksum = checksums.compute(upload.algorithm, body)
    return replace(upload.template, body=body, etag=etag, checksums={upload.algorithm: checksum})
