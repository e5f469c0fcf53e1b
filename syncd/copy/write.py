"""Every write at the destination. One that makes an object carries `If-None-Match: *`, so nothing is overwritten.

`verify --repair` alone replaces an object, on the condition of its ETag, if its version stays (`deletion.py`). All other modules build their writes here: a copy's requests, its multipart upload, and the probes of `syncd check`.
"""

from collections.abc import Generator, Sequence
from typing import NamedTuple

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import CANNOT_COMPARE, compare, compare_existing
from syncd.copy.hashes.checksums import SHA256, algorithm_of, sum_of, whole_checksums
from syncd.copy.read import Content
from syncd.copy.terms import Copy, CopyFailed, Steps
from syncd.model.bounds import refusal
from syncd.model.objects import AlreadyThere, Conflict, Outcome
from syncd.model.reasons import Reason

Headers = Sequence[tuple[str, str]]
Look = Generator[Request, Answer, Outcome | None]

# The condition of every write that makes an object: S3 answers 412 if the key has one.
IF_NEW = ("if-none-match", "*")
# By default CopyObject takes the source's annotations along. That needs permissions of its own at both ends, and each is
# billed as a PUT. They change no ETag, so a replica could not follow them (CopyObject, S3 API Reference).
_WITHOUT_ANNOTATIONS = ("x-amz-object-annotation-directive", "EXCLUDE")
_ATTEMPTS = 3
_DOCUMENTS = {"CopyObject": "CopyObjectResult", "CompleteMultipartUpload": "CompleteMultipartUploadResult"}
# "The object key name is a sequence of Unicode characters whose UTF-8 encoding is up to 1,024 bytes long" (S3 User Guide).
_LONGEST_KEY_BYTES = 1024
# S3 moves the bytes itself, at 64 times the slowest line that a deadline allows for: 16 MiB a second.
_FASTER_THAN_A_LINE = 64


def check(copy: Copy) -> None:
    """Check the object's size and the length of the replica's key before anything is sent.

    Raises:
        CopyFailed: one of them is too large.
    """
    terms, size_bytes = copy.terms, copy.object.size_bytes
    why = refusal(size_bytes, max_object=terms.max_object, part_size=terms.part_size, memory_bytes=terms.memory_bytes)
    if why:
        raise CopyFailed(Reason.TOO_LARGE, f"{copy.source_url}: {why}")
    key = copy.key
    # No character takes more than four bytes.
    if len(key) * 4 > _LONGEST_KEY_BYTES and (size := len(key.encode())) > _LONGEST_KEY_BYTES:
        detail = f"{copy.replica_url} would have a key of {size} bytes, and S3 takes {_LONGEST_KEY_BYTES}"
        raise CopyFailed(Reason.KEY_TOO_LONG, detail)


def write(request: Request) -> Generator[Request, Answer, Answer]:
    """Send a conditional write. Retries on 409: a concurrent write of the same key is in progress."""
    for _ in range(_ATTEMPTS - 1):
        answer = yield request
        if answer.status != 409:
            return answer
    return (yield request)


def with_checksum(name: str, value: str) -> Headers:
    """Return the headers by which S3 refuses a body that has another checksum. `name` is its header."""
    return (("x-amz-sdk-checksum-algorithm", algorithm_of(name)), (name, value))


def put_object(side: Side, key: str, headers: Headers, body: bytes, checksum: tuple[str, str]) -> Request:
    """Return a conditional PutObject of a body with this checksum: its header, and its value in base64."""
    return Request("PutObject", side, "PUT", key, "", (*headers, *with_checksum(*checksum), IF_NEW), body)


def put_replica(
    copy: Copy, description: Headers, source_tags: Headers, checksum: tuple[str, str], body: bytes = b""
) -> Request:
    """Return the PutObject of a replica, with the source's description and the job's headers."""
    headers = (*description, *source_tags, *copy.terms.landing)
    return put_object(Side.DESTINATION, copy.key, headers, body, checksum)


def copy_object(side: Side, key: str, headers: Headers, size_bytes: int = 0) -> Request:
    """Return a conditional CopyObject of so many bytes. `headers` name the source (`s3.copy_source`)."""
    waited_for = _waited_for(size_bytes)
    return Request(
        "CopyObject", side, "PUT", key, "", (*headers, _WITHOUT_ANNOTATIONS, IF_NEW), expected_bytes=waited_for
    )


def copy_replica(copy: Copy, *, copies_tags: bool, source_tags: Headers = ()) -> Request:
    """Return the CopyObject of a replica. It keeps the metadata, and S3 adds a SHA-256.

    `source_tags` are written if the source's are not copied as they are.
    """
    headers = (
        *source_of(copy),
        ("x-amz-metadata-directive", "COPY"),
        ("x-amz-tagging-directive", "COPY" if copies_tags else "REPLACE"),
        ("x-amz-checksum-algorithm", "SHA256"),
        *copy.terms.landing,
        *source_tags,
    )
    return copy_object(Side.COPY, copy.key, headers, copy.object.size_bytes)


def source_of(copy: Copy) -> Headers:
    """Return the headers by which CopyObject and UploadPartCopy name the listed source object."""
    terms, item = copy.terms, copy.object
    return s3.copy_source(terms.source_bucket, item.key, owner=terms.source_owner, etag=item.etag)


def _waited_for(size_bytes: int) -> int:
    """Return the bytes on a line that take as long as a copy within S3."""
    return size_bytes // _FASTER_THAN_A_LINE


def is_refused_for_its_tags(answer: Answer, source_tags: Headers) -> bool:
    """Return whether to retry a write without the source's tags.

    Tagging needs a permission of its own, and S3 takes no "system tags" (InvalidTag, S3 API Reference). Copy the object
    even without its tags.
    """
    return bool(source_tags) and (answer.status == 403 or answer.code == "InvalidTag")


def is_stored(answer: Answer, request: Request) -> bool:
    """Return whether the answer to a PutObject or UploadPart shows that these bytes are stored.

    S3's has the ETag, tells the checksum that was sent, and has no body. Others may leave one of them out. Whoever answers for
    another, such as a proxy with a page of its own, has no checksum, and no ETag or a body.
    """
    told = whole_checksums(answer.headers)
    sent = dict(request.headers)
    for name, value in told.items():
        if value != (sent.get(name) or (sum_of(name, request.body) if request.body else value)):
            return False
    has_etag = bool(s3.etag_in(answer.headers.get("etag", ""))) and not answer.body
    return answer.status == 200 and (bool(told) or has_etag)


def shows_nothing(copy: Copy, answer: Answer, request: Request) -> str:
    """Return a sentence about a success that does not show what is stored."""
    lacks = f" without a {_DOCUMENTS[request.operation]}" if request.operation in _DOCUMENTS else ""
    return f"{copy.named(request)}: {answer.status}{lacks}, which does not show that it is stored"


def stored_unseen(copy: Copy, look: Look, answer: Answer, request: Request, unpacked: str = "") -> Steps:
    """Look for the replica that a success tells of without showing it. `unpacked` is the hash of its content, if known.

    `look` compares with the replica, if there is one.

    Raises:
        CopyFailed: it is not there, or cannot be looked at. Whoever gave that answer may give this one too, so that no
            conflict is made of it: the next tick's write would meet one.
    """
    said = shows_nothing(copy, answer, request)
    try:
        outcome = yield from look
    except CopyFailed as failed:
        raise CopyFailed(Reason.UNEXPECTED, f"{said}; {str(failed).removeprefix(CANNOT_COMPARE)}") from failed
    if isinstance(outcome, AlreadyThere):
        return copy.done(outcome.replica_etag, unpacked)
    found = outcome.detail if isinstance(outcome, Conflict) else "the object is not there"
    raise CopyFailed(Reason.UNEXPECTED, f"{said}, but {found}")


def shown_etag(answer: Answer, request: Request) -> str:
    """Return the replica's ETag by the document of a success. Empty if that is not a whole one, or does not tell it.

    The status of CopyObject and CompleteMultipartUpload is sent before they are done: "a 200 OK response can contain either a
    success or an error" (S3 API Reference).
    """
    try:
        return s3.etag_in(s3.text_of(answer.body, _DOCUMENTS[request.operation], "ETag").strip())
    except s3.MalformedAnswer:
        return ""


class Upload(NamedTuple):
    """A multipart upload under way, signed by the consumer (`Side.DESTINATION`) or for a server-side copy."""

    copy: Copy
    side: Side
    upload_id: str
    checksum: str = SHA256
    """The header of its parts' checksums."""

    def part(self, number: int, checksum: str, body: bytes = b"") -> Request:
        """Return an UploadPart of a body with this checksum (base64). Parts count from 1."""
        headers = with_checksum(self.checksum, checksum)
        return self._request("UploadPart", "PUT", [("partNumber", str(number))], headers, body)

    def part_copy(self, number: int, start: int, end: int) -> Request:
        """Return an UploadPartCopy of the source's bytes from `start`, and before `end`."""
        headers = (*source_of(self.copy), ("x-amz-copy-source-range", f"bytes={start}-{end - 1}"))
        request = self._request("UploadPartCopy", "PUT", [("partNumber", str(number))], headers)
        return request._replace(expected_bytes=_waited_for(end - start))

    def complete(self, parts: Sequence[tuple[str, str]], content: Content, unpacked: str = "") -> Steps:
        """Make one object of the (ETag, checksum) of its parts. If the key has one, compare it with `content`.

        `unpacked` is the hash of the uncompressed content, if known.
        """
        headers = (("content-type", "application/xml"), IF_NEW)
        body = s3.complete_body(parts, algorithm_of(self.checksum))
        request = self._request("CompleteMultipartUpload", "POST", [], headers, body)
        answer = yield from write(request)
        if answer.is_ok and (etag := shown_etag(answer, request)):
            return self.copy.done(etag, unpacked)
        if answer.is_ok:
            return (yield from stored_unseen(self.copy, compare(self.copy, content), answer, request, unpacked))
        if answer.status == 412:
            yield self.abort()
            return (yield from compare_existing(self.copy, content))
        if answer.status == 404:
            # The transport repeats a request whose answer was lost, and the first one may have completed the upload.
            known = yield from compare(self.copy, content)
            if known is not None:
                return known
        raise self.copy.failure(answer, request)

    def abort(self) -> Request:
        """Return the request that frees the space of the parts. Its answer changes nothing."""
        return self._request("AbortMultipartUpload", "DELETE", [])

    def _request(
        self, operation: str, method: str, query: list[tuple[str, str]], headers: Headers = (), body: bytes = b""
    ) -> Request:
        asked = s3.query_string([*query, ("uploadId", self.upload_id)])
        return Request(operation, self.side, method, self.copy.key, asked, headers, body)


def begin_upload(
    copy: Copy, side: Side, description: Headers, source_tags: Headers, checksum: str = SHA256
) -> Generator[Request, Answer, Upload]:
    """Begin an upload with this description, and with the source's tags if permitted.

    Not every server beside AWS knows `checksum`. SHA-256 takes its place there.
    """
    request = _begin_request(copy, side, (*description, *source_tags), checksum)
    answer = yield request
    if is_refused_for_its_tags(answer, source_tags):
        request = _begin_request(copy, side, description, checksum)
        answer = yield request
    if checksum != SHA256 and answer.status in (400, 501):
        return (yield from begin_upload(copy, side, description, source_tags))
    if not answer.is_ok:
        raise copy.failure(answer, request)
    try:
        upload_id = s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise copy.malformed(error, request) from error
    return Upload(copy, side, upload_id, checksum)


def _begin_request(copy: Copy, side: Side, description: Headers, checksum: str) -> Request:
    headers = (*description, *copy.terms.landing, ("x-amz-checksum-algorithm", algorithm_of(checksum)))
    return Request("CreateMultipartUpload", side, "POST", copy.key, "uploads=", headers)
