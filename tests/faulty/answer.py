"""What is answered, and AWS's error documents."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
_STS_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"
_QUOTES = {'"': "&quot;"}


@dataclass(frozen=True)
class Answer:
    """One HTTP answer; the length is that of `body` unless `length` says otherwise (HEAD)."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    length: int | None = None


class S3Error(Exception):
    """An error of S3, by its HTTP status and its code; `more` are further elements of its document."""

    def __init__(self, status: int, code: str, message: str, **more: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message, self.more = status, code, message, more

    def answer(self) -> Answer:
        """The answer that carries it."""
        return Answer(
            self.status, {"content-type": "application/xml"}, error_document(self.code, self.message, self.more)
        )


class StsError(Exception):
    """An error of STS."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status, self.code, self.message = status, code, message

    def answer(self) -> Answer:
        """The answer that carries it."""
        text = elements(Type="Sender", Code=self.code, Message=self.message)
        body = f'<ErrorResponse xmlns="{_STS_NAMESPACE}"><Error>{text}</Error><RequestId>0</RequestId></ErrorResponse>'
        return Answer(self.status, {"content-type": "text/xml"}, body.encode())


def error_document(code: str, message: str, more: Mapping[str, str]) -> bytes:
    """S3's `<Error>` document."""
    text = elements(Code=code, Message=message, **more, RequestId="0")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error>{text}</Error>'.encode()


def elements(**values: object) -> str:
    """One element a value, in order; None leaves the element out."""
    return "".join(
        f"<{name}>{escape(str(value), _QUOTES)}</{name}>" for name, value in values.items() if value is not None
    )


def s3_document(name: str, content: str, **headers: str) -> Answer:
    """A 200 with a document of S3's namespace."""
    body = f'<?xml version="1.0" encoding="UTF-8"?>\n<{name} xmlns="{_S3_NAMESPACE}">{content}</{name}>'
    return Answer(200, {"content-type": "application/xml", **headers}, body.encode())


def sts_document(action: str, content: str) -> Answer:
    """A 200 with the result of an STS action."""
    body = (
        f'<{action}Response xmlns="{_STS_NAMESPACE}"><{action}Result>{content}</{action}Result>'
        f"<ResponseMetadata><RequestId>0</RequestId></ResponseMetadata></{action}Response>"
    )
    return Answer(200, {"content-type": "text/xml"}, body.encode())
