"""What STS refuses is told with its own reason, and with a remedy that is true of it, each thing once.

Codes are those of "Common Errors" and of AssumeRole in the STS API Reference. Messages that AWS documents nowhere are as
people quote them: of a wrong clock and of a wrong secret in the AWS SDKs' own tests of SigV4, of the durations at
repost.aws/knowledge-center/iam-role-chaining-limit, of a region that is not activated in the troubleshooting of services
that assume roles, of a scope for another region and of packed policies in issues of SDKs and deployment tools.
"""

import io
import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import NamedTuple

import pytest
from faulty import CorruptBody, DropConnection, ErrorIn200, Principal, Status
from faulty.faults import Action
from sts_stage import KNOWN_ROLE, WAYS, Stage, ask_sts_by, refusal, sts_stage

from syncd.aws.identity import refusals
from syncd.cli.demo.world import ACCOUNT_B, ACCOUNT_C
from syncd.model.errors import JobFailed

USER = f"arn:aws:iam::{ACCOUNT_B}:user/syncd"
TRUST = "trust policy"


@pytest.fixture(params=WAYS)
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    ask_sts_by(request.param, monkeypatch)
    with sts_stage(tmp_path) as made:
        yield made


class Case(NamedTuple):
    """What STS answers, and what it comes to."""

    status: int
    code: str
    message: str
    reason: str
    remedy: str
    """What the remedy holds."""


CASES = {
    "a clock that is behind": Case(
        403,
        "SignatureDoesNotMatch",
        "Signature expired: 20261124T064930Z is now earlier than 20261124T074500Z (20261124T080000Z - 15 min.)",
        "clock_skewed",
        "this machine's clock is 1h10m30s behind that of STS: set this machine's clock",
    ),
    "a clock that is ahead": Case(
        403,
        "SignatureDoesNotMatch",
        "Signature not yet current: 20261124T080700Z is still later than 20261124T080500Z (20261124T080000Z + 5 min.)",
        "clock_skewed",
        "this machine's clock is 7m ahead of that of STS: set this machine's clock",
    ),
    "a clock that another service's code tells of": Case(
        400,
        "InvalidSignatureException",
        "Signature expired: 20261124T064500Z is now earlier than 20261124T075500Z (20261124T080000Z - 5 min.)",
        "clock_skewed",
        "1h15m behind",
    ),
    "a clock that a server beside AWS tells of": Case(
        403,
        "SignatureDoesNotMatch",
        "Signature not yet current: 20261124T080700Z is still later than 20261124T080500Z",
        "clock_skewed",
        "`timedatectl`",
    ),
    "a request that came too late": Case(
        400, "RequestExpired", "Request has expired.", "clock_skewed", "`timedatectl`"
    ),
    "a secret that is not the key's": Case(
        403,
        "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key"
        " and signing method. Consult the service documentation for details.",
        "wrong_secret_key",
        "correct the secret access key",
    ),
    "a signature for another region": Case(
        403,
        "SignatureDoesNotMatch",
        "Credential should be scoped to a valid region, not 'us-east-1'.",
        "wrong_region",
        "correct source.role.sts_region in the job, or endpoints.sts",
    ),
    "a key that is not there": Case(
        403,
        "InvalidClientTokenId",
        "The security token included in the request is invalid.",
        "invalid_credentials",
        "a new access key",
    ),
    "a key that is not there, by its other code": Case(
        403,
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
        "invalid_credentials",
        "a new access key",
    ),
    "credentials whose time is over": Case(
        403,
        "ExpiredToken",
        "The security token included in the request is expired",
        "credentials_expired",
        "fresh credentials where the job looks for them",
    ),
    "a region where STS is off": Case(
        403,
        "RegionDisabledException",
        f"STS is not activated in this region for account:{KNOWN_ROLE.split(':')[4]}. Your account administrator can activate"
        " STS in this region using the IAM Console.",
        "region_disabled",
        "have the account of the role activate STS in this region",
    ),
    "a session that is longer than the role's": Case(
        400,
        "ValidationError",
        "The requested DurationSeconds exceeds the MaxSessionDuration set for this role.",
        "session_too_long",
        "lower source.role.duration",
    ),
    "a session that is longer than a chain's": Case(
        400,
        "ValidationError",
        "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining.",
        "session_too_long",
        'source.role.duration = "1h"',
    ),
    "a session policy that is too large": Case(
        400,
        "PackedPolicyTooLarge",
        "Packed policy consumes 108% of allotted space, please use smaller policy.",
        "session_policy_too_large",
        'source.role.session_policy = "off"',
    ),
    "a session policy that is none": Case(
        400,
        "MalformedPolicyDocument",
        "The policy is not in the valid JSON format.",
        "session_policy_malformed",
        "source.prefix",
    ),
    "a parameter that STS does not take": Case(
        400,
        "ValidationError",
        "1 validation error detected: Value 'a b' at 'roleSessionName' failed to satisfy constraint: Member must satisfy"
        " regular expression pattern: [\\w+=,.@-]*",
        "invalid_parameter",
        "session_name RoleSessionName",
    ),
    "a root user": Case(
        403, "AccessDenied", "Roles may not be assumed by root accounts.", "root_caller", "use an IAM user or role"
    ),
    "an account without a subscription": Case(
        403,
        "OptInRequired",
        "The AWS Access Key Id needs a subscription for the service",
        "account_problem",
        "the owner of the consumer's account",
    ),
    "too many calls": Case(400, "Throttling", "Rate exceeded", "slow_down", "tick less often"),
    "a call that is not known": Case(
        400, "InvalidAction", "Could not find operation AssumeRole", "unsupported", "endpoints.sts"
    ),
    "an STS that is not well": Case(500, "InternalFailure", "", "server_error", "the health of the server"),
}


@pytest.mark.parametrize("what", CASES)
def test_a_role_that_cannot_be_had_is_told_with_its_own_reason_and_a_remedy_that_is_true_of_it(
    stage: Stage, what: str
) -> None:
    case = CASES[what]
    stage.server.faults.add("AssumeRole", Status(case.status, case.code, case.message))

    error = refusal(stage.role)

    said = f"{case.code}: {case.message}" if case.message else case.code
    assert (error.reason, error.detail) == (case.reason, f"AssumeRole by {USER} of {KNOWN_ROLE}: {said}")
    assert case.remedy in error.remedy
    assert TRUST not in error.remedy


@pytest.mark.parametrize("what", [name for name, case in CASES.items() if case.status in (400, 403)])
def test_a_caller_that_is_refused_is_told_the_same_way_and_with_where_its_credentials_are(
    stage: Stage, what: str
) -> None:
    case = CASES[what]
    stage.server.faults.add("GetCallerIdentity", Status(case.status, case.code, case.message))

    error = refusal(stage.consumer)

    where = f"the consumer ({ACCOUNT_B}, credentials file {stage.credentials})"
    assert error.reason == case.reason
    assert error.detail == f"GetCallerIdentity by {where}: {case.code}: {case.message}"
    assert case.remedy in error.remedy


def test_a_caller_that_something_on_the_way_denies_is_not_told_to_look_for_credentials(stage: Stage) -> None:
    """AWS asks for no permission for GetCallerIdentity (STS API Reference): what denies it stands between here and STS."""
    message = (
        f"User: {USER} is not authorized to perform: sts:GetCallerIdentity because no VPC endpoint policy allows the"
        " sts:GetCallerIdentity action"
    )
    stage.server.faults.add("GetCallerIdentity", Status(403, "AccessDenied", message))

    error = refusal(stage.consumer)

    assert error.reason == "access_denied"
    assert error.detail.endswith(
        ": AccessDenied: because no VPC endpoint policy allows the sts:GetCallerIdentity action"
    )
    assert "the VPC endpoint or the proxy between here and STS" in error.remedy
    assert "consumer.profile" not in error.remedy


def test_an_unknown_access_key_is_refused_with_what_sts_said(stage: Stage) -> None:
    stage.write("default", Principal(ACCOUNT_B, "", "", "AKIA0000000000000000", "secret"))

    error = refusal(stage.consumer)

    assert error.reason == "invalid_credentials"
    assert "InvalidClientTokenId" in error.detail
    assert "GetCallerIdentity" in error.detail


def test_a_denied_role_is_told_with_the_trust_policy(stage: Stage) -> None:
    stage.server.add_role(KNOWN_ROLE, trusts=frozenset({ACCOUNT_C}))

    error = refusal(stage.role)

    assert (error.reason, TRUST in error.remedy) == ("access_denied", True)


def test_an_external_id_that_sts_quotes_is_not_shown(stage: Stage) -> None:
    role = {"arn": KNOWN_ROLE, "session_name": "syncd", "external_id": "not-for-the-log", "third_party": True}
    message = "1 validation error detected: Value 'not-for-the-log' at 'externalId' failed to satisfy constraint"
    stage.server.faults.add("AssumeRole", Status(400, "ValidationError", message))

    error = refusal(lambda: stage.role(stage.job(source__role=role)))

    assert error.reason == "invalid_parameter"
    assert "at 'externalId'" in error.detail
    assert "not-for-the-log" not in error.detail + error.remedy


# What botocore does not even send


def test_a_parameter_that_botocore_does_not_take_is_named_and_nothing_is_sent(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask_sts_by("botocore", monkeypatch)
    error = refusal(lambda: stage.role(duration_seconds=5))

    assert error.reason == "invalid_parameter"
    assert error.detail == (
        f"AssumeRole by {USER} of {KNOWN_ROLE}: Parameter validation failed: Invalid value for parameter DurationSeconds,"
        " value: 5, valid min value: 900"
    )
    assert "duration DurationSeconds" in error.remedy
    assert stage.server.count("AssumeRole") == 0


def test_a_clock_that_is_wrong_is_told_where_a_profile_assumes_a_role_of_its_own(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES["a clock that is behind"]
    stage.server.faults.add("AssumeRole", Status(case.status, case.code, case.message))
    config = tmp_path / "config"
    config.write_text(
        f"[profile chained]\nrole_arn = arn:aws:iam::{ACCOUNT_B}:role/syncd\nsource_profile = default\nregion = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", stage.server.url)

    error = refusal(lambda: stage.consumer(stage.job(consumer__profile="chained")))

    assert (error.reason, case.remedy in error.remedy) == ("clock_skewed", True)
    assert f"credentials of the consumer ({ACCOUNT_B}, profile chained of credentials file" in error.detail


# What is no answer of STS


@pytest.mark.parametrize("action", [CorruptBody(), ErrorIn200()], ids=["garbled", "another document"])
def test_an_answer_that_is_none_of_sts_is_told_as_such(stage: Stage, action: Action) -> None:
    stage.server.faults.add("AssumeRole", action)

    assert_not_sts(refusal(stage.role))


@pytest.mark.parametrize("status", [403, 407], ids=str)
def test_a_page_of_a_proxy_is_no_denial(stage: Stage, status: int) -> None:
    with page(status, b"<html><body>Blocked</body></html>") as url:
        error = refusal(lambda: stage.role(stage.job(endpoints__sts=url)))

    assert_not_sts(error)
    assert f"no reason given (HTTP {status})" in error.detail


NO_IDENTITY = {
    "without an account": (
        200,
        (
            b"<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:iam::1:user/x</Arn>"
            b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
        ),
    ),
    "without an end": (403, b"<a>" * 4_000 + b"</a>" * 4_000),
}


@pytest.mark.parametrize("what", NO_IDENTITY)
def test_an_identity_that_is_none_is_told_as_such(stage: Stage, what: str) -> None:
    with page(*NO_IDENTITY[what]) as url:
        error = refusal(lambda: stage.consumer(stage.job(endpoints__sts=url)))

    assert_not_sts(error)


@pytest.mark.parametrize("password", ["pass@word", "sec/ret", "sec?ret#hidden", "o%2Fther", "ta\tbbed"])
@pytest.mark.parametrize("scheme", ["socks5", "http"])
def test_the_password_of_a_proxy_is_not_told(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, scheme: str, password: str
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", f"{scheme}://somebody:{password}@127.0.0.1:1")

    error = refusal(lambda: stage.consumer(stage.job(endpoints__sts="https://127.0.0.1:1")))

    assert not set(re.findall(r"\w+", password)) & set(re.findall(r"\w+", error.detail))
    assert scheme != "socks5" or password != "pass@word" or "socks5://" in error.detail


def test_the_password_of_a_proxy_is_not_told_by_a_lookup(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text(
        f"[profile chained]\nrole_arn = arn:aws:iam::{ACCOUNT_B}:role/syncd\nsource_profile = default\nregion = us-east-1\n"
    )
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", "https://127.0.0.1:1")
    monkeypatch.setenv("HTTPS_PROXY", "http://somebody:sec/ret@127.0.0.1:1")

    error = refusal(lambda: stage.consumer(stage.job(consumer__profile="chained")))

    assert error.reason == "no_credentials"
    assert not {"sec", "ret"} & set(re.findall(r"\w+", error.detail))


LACKING = {
    "descriptors for a library": ImportError("libbz2.so.1.0: cannot open shared object file: Too many open files"),
    "descriptors": OSError(24, "Too many open files"),
}


@pytest.mark.parametrize("what", LACKING)
def test_a_lack_is_told_as_one(what: str) -> None:
    with pytest.raises(JobFailed) as caught, refusals.as_job_failure("AssumeRole by x", denied=""):
        raise LACKING[what]

    assert (caught.value.reason, "AssumeRole by x" in caught.value.detail) == ("resource_limit", True)


@pytest.mark.parametrize("error", [ssl.SSLCertVerificationError(1, "odd"), io.UnsupportedOperation("odd")], ids=repr)
def test_an_error_of_the_system_is_not_told_as_an_answer(error: OSError) -> None:
    with pytest.raises(OSError, match="odd"), refusals.as_job_failure("AssumeRole by x", denied=""):
        raise error


def test_an_sts_that_is_not_there_is_a_failed_connection(stage: Stage) -> None:
    stage.server.faults.add("AssumeRole", DropConnection())

    error = refusal(stage.role)

    assert (error.reason, "AssumeRole" in error.detail) == ("connection_failed", True)
    assert stage.server.url in error.detail


def test_a_server_that_speaks_no_tls_is_told_with_the_certificate(stage: Stage) -> None:
    with served(_SpeaksFirst) as port:
        error = refusal(lambda: stage.consumer(stage.job(endpoints__sts=f"https://127.0.0.1:{port}")))

    assert (error.reason, "HTTPS_PROXY" in error.remedy) == ("connection_failed", True)


def assert_not_sts(error: JobFailed) -> None:
    assert error.reason == "unexpected_answer"
    assert error.remedy == "check endpoints.sts, and that no proxy answers for it"


class _SpeaksFirst(BaseRequestHandler):
    """Answers without TLS, whatever is asked."""

    def handle(self) -> None:
        self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


@contextmanager
def page(status: int, body: bytes) -> Iterator[str]:
    """The address of a server that answers everything with the same."""

    class Always(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with served(Always) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def served(by: type[BaseRequestHandler]) -> Iterator[int]:
    """The port of a server."""
    with ThreadingTCPServer(("127.0.0.1", 0), by) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()
