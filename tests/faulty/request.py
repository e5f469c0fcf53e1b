"""One request as it came in, and which operation of S3 or STS it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote


@dataclass(frozen=True)
class Request:
    """A request; `headers` has lower-case names, `query` and `form` are decoded."""

    number: int
    """Counts from 1 in order of arrival."""
    operation: str
    """AWS's own name of it, such as `ListObjectsV2`."""
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]
    """The parameters of an STS call."""
    at: float
    """Seconds of the monotonic clock."""
    body: bytes = field(repr=False, default=b"")
    """Kept for the operation only; recorded requests have none."""
    size_bytes: int = 0

    @property
    def access_key_id(self) -> str:
        """The key that signed it; empty for an anonymous request."""
        return self._scope(0)

    @property
    def signing_region(self) -> str:
        """The region of the signature's scope; empty for an anonymous request."""
        return self._scope(2)

    def _scope(self, position: int) -> str:
        _, _, scope = self.headers.get("authorization", "").partition("Credential=")
        parts = scope.partition(",")[0].split("/")
        return parts[position] if len(parts) > position else ""


_BUCKET_OPERATIONS = {
    ("GET", "list-type"): "ListObjectsV2",
    ("GET", "location"): "GetBucketLocation",
    ("GET", "versioning"): "GetBucketVersioning",
    ("GET", "uploads"): "ListMultipartUploads",
    ("GET", ""): "ListObjects",
    ("HEAD", ""): "HeadBucket",
    ("PUT", ""): "CreateBucket",
    ("DELETE", ""): "DeleteBucket",
    ("POST", "delete"): "DeleteObjects",
}
_OBJECT_OPERATIONS = {
    ("GET", "tagging"): "GetObjectTagging",
    ("GET", "attributes"): "GetObjectAttributes",
    ("GET", "uploadId"): "ListParts",
    ("GET", ""): "GetObject",
    ("HEAD", ""): "HeadObject",
    ("PUT", "uploadId"): "UploadPart",
    ("PUT", ""): "PutObject",
    ("POST", "uploads"): "CreateMultipartUpload",
    ("POST", "uploadId"): "CompleteMultipartUpload",
    ("DELETE", "uploadId"): "AbortMultipartUpload",
    ("DELETE", ""): "DeleteObject",
}
_COPIES = {"PutObject": "CopyObject", "UploadPart": "UploadPartCopy"}
# Parameters that change an answer but not what the operation is.
_PLAIN = {
    "x-id",
    "partNumber",
    "prefix",
    "delimiter",
    "max-keys",
    "start-after",
    "marker",
    "continuation-token",
    "encoding-type",
}


def make_request(
    number: int, method: str, target: str, headers: Mapping[str, str], body: bytes, *, at: float
) -> Request:
    """Reads a request line's method and target, with path-style addressing."""
    path, _, query_string = target.partition("?")
    query = dict(parse_qsl(query_string, keep_blank_values=True))
    bucket, _, key = path.removeprefix("/").partition("/")
    form: dict[str, str] = {}
    if method == "POST" and not bucket:
        form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    return Request(
        number=number,
        operation=_operation(method, key, query, is_copy="x-amz-copy-source" in headers)
        if bucket
        else form.get("Action", "ListBuckets"),
        bucket=unquote(bucket),
        key=unquote(key),
        query=query,
        headers=headers,
        form=form,
        at=at,
        body=body,
        size_bytes=len(body),
    )


def _operation(method: str, key: str, query: Mapping[str, str], *, is_copy: bool) -> str:
    known = _OBJECT_OPERATIONS if key else _BUCKET_OPERATIONS
    told_by = [name for name in query if name not in _PLAIN]
    candidates = [known[method, name] for name in told_by if (method, name) in known]
    plain = known.get((method, ""), "") if not told_by else ""
    operation = candidates[0] if candidates else plain or f"{method}?{'&'.join(told_by)}"
    return _COPIES.get(operation, operation) if is_copy else operation
