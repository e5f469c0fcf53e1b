"""An STS that drips or never ends: a call takes so long and holds so much, and no more."""

import itertools
from collections.abc import Iterable
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ReadTimeoutError
from hostile.server import Asked, answer, endless, hostile

from syncd.aws.identity import sts as sts_wire
from syncd.aws.identity.refusals import as_job_failure
from syncd.aws.identity.sts import AnswerTooLongError, BoundedSession
from syncd.model.errors import JobFailed

IDENTITY = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::222222222222:user/syncd</Arn><UserId>AIDA</UserId><Account>222222222222</Account>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
ENDLESS = {
    "body": b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n",
    "chunks": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    "a chunk's extension": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;",
    "refusal": b"HTTP/1.1 403 Forbidden\r\n\r\n<ErrorResponse>",
    "header": b"HTTP/1.1 200 OK\r\nX-Padding: ",
    "status line": b"HTTP/1.1 200 ",
}


def sts(url: str, *, seconds: float) -> Any:
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    keys = {"aws_access_key_id": "AKIDEXAMPLE", "aws_secret_access_key": "secret"}
    client = boto3.client("sts", region_name="us-east-1", endpoint_url=url, config=config, **keys)
    session = BoundedSession(seconds=seconds)
    client.meta.events.register("before-send.*.*", lambda request, **_: session.send(request))
    return client


def test_an_answer_comes_whole_and_connections_are_used_again() -> None:
    with hostile(lambda _: [answer(IDENTITY)]) as server:
        client = sts(server.url, seconds=60)
        accounts = [client.get_caller_identity()["Account"] for _ in range(3)]

    assert accounts == ["222222222222"] * 3


@pytest.mark.parametrize("what", ENDLESS)
def test_an_answer_without_an_end_is_cut_off_and_not_asked_for_again(what: str) -> None:
    with (
        hostile(lambda _: endless(ENDLESS[what])) as server,
        pytest.raises(JobFailed) as caught,
        as_job_failure("AssumeRole", denied=""),
    ):
        sts(server.url, seconds=60).get_caller_identity()

    assert caught.value.reason in {"unexpected_answer", "connection_failed"}
    assert len(server.asked) == 1
    # What the kernels of both ends hold, and no more.
    assert server.sent_bytes < 64 * 1024**2


@pytest.mark.parametrize("begun", ["", "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"])
def test_an_answer_that_drips_is_given_up_as_a_whole(begun: str) -> None:
    def dripping(_: Asked) -> Iterable[bytes]:
        return itertools.chain([begun.encode()], server.drip(itertools.repeat(b"H"), 0.05))

    with hostile(dripping) as server, pytest.raises(ReadTimeoutError):
        sts(server.url, seconds=0.5).get_caller_identity()


def test_a_tls_handshake_that_drips_is_given_up_too() -> None:
    # The beginning of a record of 16 KiB.
    record = itertools.chain([b"\x16\x03\x03\x3f\x00\x02"], itertools.repeat(b"\x00"))

    with (
        hostile(lambda _: [], greeting=lambda server: server.drip(record, 0.05)) as server,
        pytest.raises(ReadTimeoutError),
    ):
        sts(server.url.replace("http:", "https:"), seconds=0.5).get_caller_identity()


def test_what_is_too_long_is_no_answer_of_sts() -> None:
    error = AnswerTooLongError(most=sts_wire.ANSWER_BYTES)

    with pytest.raises(JobFailed) as caught, as_job_failure("AssumeRole by B", denied=""):
        raise error

    assert caught.value.reason == "unexpected_answer"
    assert caught.value.detail == "AssumeRole by B: more than 65536 bytes came, which is no answer of STS"
