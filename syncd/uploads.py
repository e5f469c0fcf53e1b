"""A multipart upload at the destination: how it begins, what its requests carry, how it ends."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from syncd import failures, s3
from syncd.model import Transfer
from syncd.s3 import Answer, Request, Side
from syncd.terms import CopyFailed, Terms, failure_of, named
from syncd.writing import write


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload under way, written by the consumer (`Side.DESTINATION`) or the signer of server-side copies."""

    transfer: Transfer
    terms: Terms
    side: Side
    upload_id: str

    def part(
        self, operation: str, number: int, headers: Sequence[tuple[str, str]], body: bytes = b""
    ) -> Generator[Request, Answer, tuple[Request, Answer]]:
        """Write one part, counted from 1; `operation` is UploadPart or UploadPartCopy."""
        request = self._request(operation, "PUT", [("partNumber", str(number))], headers, body)
        answer = yield request
        if not answer.is_ok:
            raise failure_of(answer, request, self.terms)
        return request, answer

    def complete(self, parts: Sequence[tuple[str, str]]) -> Generator[Request, Answer, tuple[Request, Answer]]:
        """Make one object of the (ETag, SHA-256) of its parts, unless there is one; the answer may be a refusal."""
        headers = (("if-none-match", "*"), ("content-type", "application/xml"))
        request = self._request("CompleteMultipartUpload", "POST", [], headers, s3.complete_body(parts))
        answer = yield from write(request)
        return request, answer

    def abort(self) -> Request:
        """Give back what the parts take up; whatever the answer, there is nothing more to do."""
        return self._request("AbortMultipartUpload", "DELETE", [])

    def _request(
        self,
        operation: str,
        method: str,
        query: list[tuple[str, str]],
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
    ) -> Request:
        owner = ("x-amz-expected-bucket-owner", self.terms.destination_owner)
        asked = s3.query_string([*query, ("uploadId", self.upload_id)])
        return Request(operation, self.side, method, self.transfer.destination_key, asked, (*headers, owner), body)


def begin_upload(
    transfer: Transfer, terms: Terms, side: Side, description: Sequence[tuple[str, str]]
) -> Generator[Request, Answer, Upload]:
    """Begin an upload of an object that is described so."""
    request = Request(
        "CreateMultipartUpload",
        side,
        "POST",
        transfer.destination_key,
        "uploads=",
        (
            *description,
            *terms.landing,
            ("x-amz-checksum-algorithm", "SHA256"),
            ("x-amz-expected-bucket-owner", terms.destination_owner),
        ),
    )
    answer = yield request
    if not answer.is_ok:
        raise failure_of(answer, request, terms)
    try:
        upload_id = s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise CopyFailed(failures.UNEXPECTED, f"{named(request, terms)}: {error}") from error
    return Upload(transfer, terms, side, upload_id)
