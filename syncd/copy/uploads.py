"""A multipart upload at the destination: how it begins, what its requests carry, how it comes to its end."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass

from syncd.aws import s3
from syncd.aws.s3 import Answer, Request, Side
from syncd.copy.compare import compare, compare_existing
from syncd.copy.read import Content
from syncd.copy.terms import CopyFailed, Steps, Terms, failure_of, named
from syncd.copy.write import confirm, is_refused_for_its_tags, write
from syncd.model.objects import Copied, Transfer
from syncd.model.reasons import Reason


@dataclass(frozen=True, slots=True)
class Upload:
    """One upload under way, written by the consumer (`Side.DESTINATION`) or the signer of server-side copies."""

    transfer: Transfer
    terms: Terms
    side: Side
    upload_id: str

    def part(self, operation: str, number: int, headers: Sequence[tuple[str, str]], body: bytes = b"") -> Request:
        """What writes one part, counted from 1; `operation` is UploadPart or UploadPartCopy."""
        return self._request(operation, "PUT", [("partNumber", str(number))], headers, body)

    def complete(self, parts: Sequence[tuple[str, str]], content: Content) -> Steps:
        """Make one object of the (ETag, SHA-256) of its parts; where there is one, it is compared with the `content`."""
        headers = (("if-none-match", "*"), ("content-type", "application/xml"))
        request = self._request("CompleteMultipartUpload", "POST", [], headers, s3.complete_body(parts))
        answer = yield from write(request)
        if answer.is_ok:
            return Copied(self.transfer, confirm(answer, "CompleteMultipartUploadResult", request, self.terms))
        if answer.status == 412:
            yield self.abort()
            return (yield from compare_existing(self.transfer, self.terms, content))
        if answer.status == 404:
            # The runtime sends a request again whose answer was lost: the first one may have completed the upload.
            known = yield from compare(self.transfer, self.terms, content)
            if known is not None:
                return known
        raise failure_of(answer, request, self.terms)

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
    transfer: Transfer,
    terms: Terms,
    side: Side,
    description: Sequence[tuple[str, str]],
    source_tags: Sequence[tuple[str, str]],
) -> Generator[Request, Answer, Upload]:
    """Begin an upload of an object that is described so, with the source's tags where these may be written."""
    request = _beginning(transfer, terms, side, (*description, *source_tags))
    answer = yield request
    if is_refused_for_its_tags(answer, source_tags):
        request = _beginning(transfer, terms, side, description)
        answer = yield request
    if not answer.is_ok:
        raise failure_of(answer, request, terms)
    try:
        upload_id = s3.text_of(answer.body, "InitiateMultipartUploadResult", "UploadId")
    except s3.MalformedAnswer as error:
        raise CopyFailed(Reason.UNEXPECTED, f"{named(request, terms)}: {error}") from error
    return Upload(transfer, terms, side, upload_id)


def _beginning(transfer: Transfer, terms: Terms, side: Side, description: Sequence[tuple[str, str]]) -> Request:
    headers = (
        *description,
        *terms.landing,
        ("x-amz-checksum-algorithm", "SHA256"),
        ("x-amz-expected-bucket-owner", terms.destination_owner),
    )
    return Request("CreateMultipartUpload", side, "POST", transfer.destination_key, "uploads=", headers)
