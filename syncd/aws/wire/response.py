"""An HTTP/1.1 answer as it comes in, within bounds (RFC 9112). Pure.

Whatever is not plainly HTTP is refused: two lengths that differ, a length that is no number, a coding other than chunked,
a header that goes on in the next line. How the bytes are cut into pieces makes no difference.
"""

import re
from collections.abc import Callable, Mapping

HEAD_BYTES = 64 * 1024
"""The largest header block, together with interim answers before it. S3's own have a few kilobytes."""
_BEGINS = b"HTTP/1."
_BREAK = b"\r\n"
_END = b"\r\n\r\n"
_STATUS = re.compile(r"HTTP/1\.([01]) ([1-9]\d{2})(?: |$)")
# A name has no space, and nothing has a line break of its own: values of RFC 9110, and those beyond ASCII.
_LINE = r"[!-9;-~\x80-\xff]+:[^\r\n\0]*"
_HEADERS = re.compile(rf"(?:{_LINE}(?:\r\n{_LINE})*)?")
_HEADER = re.compile(r"([^:\r\n]+):[ \t]*([^\r\n]*)")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")
_MOST_CHUNK_LINE = 1024
_MOST_DIGITS = 20
_WITHOUT_BODY = frozenset({204, 304})


class MalformedResponseError(ValueError):
    """Bytes that are no HTTP answer."""


class TooLargeError(ValueError):
    """The answer has more bytes than it may."""


class Response:
    """One answer, taken in piece by piece."""

    __slots__ = (
        "_body",
        "_framing_bytes",
        "_head",
        "_interim_bytes",
        "_is_chunk_over",
        "_is_cut",
        "_left",
        "_may_have_body",
        "_most_bytes",
        "_take",
        "headers",
        "is_followed",
        "keeps_alive",
        "status",
        "status_line",
    )

    def __init__(self, method: str, most_bytes: int) -> None:
        """Take no more than `most_bytes` of a body. `method` is the request's: the answer to a HEAD has none."""
        self._may_have_body = method != "HEAD"
        self._most_bytes = most_bytes
        self.status = 0
        self.status_line = ""
        """The status and its words, such as `404 Not Found`."""
        self.headers: Mapping[str, str] = {}
        """Names in lower case. The last value of a name."""
        self.keeps_alive = False
        """True if the connection may be used for another request."""
        self.is_followed = False
        """True if more came with the end of a body, or in place of one."""
        self._head = bytearray()
        self._interim_bytes = self._framing_bytes = 0
        self._is_cut = False
        self._body: bytes | bytearray = b""
        # Bytes of the body, or of the chunk under way, that are still to come.
        self._left = 0
        self._is_chunk_over = False
        # Not bound: it would keep the answer, body and all, until the garbage is collected.
        self._take: Callable[[Response, bytes], bool] = Response._take_head

    @property
    def has_begun(self) -> bool:
        """True if anything came."""
        return bool(self.status or self._head)

    @property
    def body(self) -> bytes:
        """The body, as far as it came."""
        return bytes(self._body)

    def take(self, data: bytes) -> bool:
        """Take in what came next. Returns True if the answer is complete.

        Raises:
            MalformedResponseError: it is no HTTP answer.
            TooLargeError: it is too large. Of a refusal the beginning is enough.
        """
        return self._take(self, data) or self._is_cut

    def end(self) -> bool:
        """Take in that the connection has ended. Returns True if the answer is complete."""
        return self._take is Response._take_rest

    def _take_head(self, piece: bytes | bytearray) -> bool:
        looked_through, data = max(len(self._head) - len(_END), 0), piece
        if self._head:
            self._head += piece
            data = self._head
        while True:
            if not data.startswith(_BEGINS[: len(data)]):
                raise MalformedResponseError("it does not begin as HTTP/1.1 does")
            end, most = data.find(_END, looked_through), HEAD_BYTES - self._interim_bytes
            if end > most or (end < 0 and len(data) >= most + len(_END)):
                raise TooLargeError(f"a header block of more than {HEAD_BYTES} bytes")
            if end < 0:
                self._head = data if isinstance(data, bytearray) else bytearray(data)
                return False
            self._head, looked_through = bytearray(), 0
            self._parse(data[:end].decode("latin-1"))
            data = data[end + len(_END) :]
            if self.status >= 200:
                return self._begin_body(bytes(data))
            # 100 Continue, say: the answer comes after it.
            self.status = 0
            self._interim_bytes += end + len(_END)

    def _parse(self, head: str) -> None:
        first, _, rest = head.partition("\r\n")
        status = _STATUS.match(first)
        if status is None or "\n" in first or "\r" in first or "\0" in first:
            raise MalformedResponseError("it does not begin as HTTP/1.1 does")
        if not _HEADERS.fullmatch(rest):
            raise MalformedResponseError("it has a header without a name, or with a line break")
        found = _HEADER.findall(rest)
        headers = {name.lower(): value.rstrip(" \t") for name, value in found}
        if len(headers) < len(found):
            _check_once(found)
        self.status, self.status_line, self.headers = int(status[2]), first[9:], headers
        wish = headers.get("connection", "").lower()
        self.keeps_alive = "close" not in wish if status[1] == "1" else wish == "keep-alive"

    def _begin_body(self, rest: bytes) -> bool:
        coding, length = self.headers.get("transfer-encoding", ""), self.headers.get("content-length")
        if length is not None and not (length.isascii() and length.isdigit()):
            raise MalformedResponseError("its length is no number")
        if not self._may_have_body or self.status in _WITHOUT_BODY:
            # The answer to a HEAD tells the length of what does not come, to whoever reads it.
            if length is not None and len(length) > _MOST_DIGITS:
                raise MalformedResponseError("its length is no number")
            self._left = 0
        elif coding:
            if coding.lower() != "chunked":
                raise MalformedResponseError("its coding is not chunked")
            self._take = Response._take_chunked
            self.keeps_alive = self.keeps_alive and length is None
            return bool(rest) and self._take(self, rest)
        elif length is not None:
            self._left = int(length.lstrip("0")[:_MOST_DIGITS] or "0")
            if self._left > self._most_bytes and self.is_success:
                raise TooLargeError(f"an answer of {self._left} bytes, where {self._most_bytes} are the most")
        else:
            self.keeps_alive = False
            self._take = Response._take_rest
            return bool(rest) and self._take(self, rest)
        self._take = Response._take_body
        return self._take_body(rest)

    def _take_body(self, data: bytes) -> bool:
        if len(data) > self._left:
            # As some servers do after the answer to a HEAD. It is read no further.
            self.keeps_alive, self.is_followed = False, True
            data = data[: self._left]
        if data:
            self._keep(data)
        # Not before it is kept: a piece that is lost must not count.
        self._left -= len(data)
        return not self._left

    def _take_rest(self, data: bytes) -> bool:
        self._keep(data)
        return False

    def _take_chunked(self, data: bytes) -> bool:
        data, at = bytes(self._head) + data, 0
        self._head = bytearray()
        while True:
            if self._left:
                piece = data[at : at + self._left]
                at += len(piece)
                self._keep(piece)
                self._left -= len(piece)
                if self._left:
                    return False
                self._is_chunk_over = True
            if self._is_chunk_over and not _BREAK.startswith(data[at : at + len(_BREAK)]):
                raise MalformedResponseError("it has a chunk that does not end where it should")
            end = data.find(_BREAK, at)
            if end < 0 or end - at > _MOST_CHUNK_LINE:
                self._head += data[at:]
                return self._is_too_long(_MOST_CHUNK_LINE + len(_BREAK))
            self._framing_bytes += end - at + len(_BREAK)
            if self._framing_bytes > len(self._body) + HEAD_BYTES:
                raise MalformedResponseError("it has more of its chunks' sizes than of its chunks")
            if self._is_chunk_over:
                self._is_chunk_over = False
            else:
                size = _CHUNK.fullmatch(data, at, end)
                if size is None:
                    raise MalformedResponseError("it has a chunk without a size")
                self._left = int(size[1], 16)
                if not self._left:
                    self._take = Response._take_trailer
                    return self._take_trailer(data[end:])
            at = end + len(_BREAK)

    def _take_trailer(self, data: bytes) -> bool:
        """Take the lines after the last chunk, from its own line's break on. Nobody needs them."""
        looked_through = max(len(self._head) - len(_END), 0)
        self._head += data
        end = self._head.find(_END, looked_through)
        if end < 0 or end > HEAD_BYTES:
            return self._is_too_long(HEAD_BYTES + len(_END))
        self.keeps_alive = self.keeps_alive and len(self._head) == end + len(_END)
        return True

    def _is_too_long(self, most: int) -> bool:
        """Return False if the line under way may go on."""
        if len(self._head) >= most:
            raise TooLargeError(f"lines of more than {most} bytes")
        return False

    @property
    def is_success(self) -> bool:
        """True if its status says so."""
        return 200 <= self.status < 300

    def _keep(self, piece: bytes) -> None:
        """Keep a piece of the body. Many small ones take no more memory than their bytes do."""
        if not self._body:
            self._body = piece
        else:
            if isinstance(self._body, bytes):
                self._body = bytearray(self._body)
            self._body += piece
        if len(self._body) > self._most_bytes:
            if self.is_success:
                raise TooLargeError(f"an answer of more than {self._most_bytes} bytes")
            self._body, self._is_cut, self.keeps_alive = self._body[: self._most_bytes], True, False


def _check_once(found: list[tuple[str, str]]) -> None:
    """Raise an error if names of which the end of a body depends have two values."""
    codings = [value for name, value in found if name.lower() == "transfer-encoding"]
    lengths = {value.rstrip(" \t") for name, value in found if name.lower() == "content-length"}
    if len(codings) > 1 or len(lengths) > 1:
        raise MalformedResponseError("it has two lengths or codings")
