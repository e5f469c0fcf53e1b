"""One word for each cause: what S3 answers, what is said of it, and what to do about it."""

import pytest

from syncd.aws import answers
from syncd.model import reasons
from syncd.model.reasons import Reason

# "Error responses", Amazon S3 API Reference.
BY_CODE = {
    (403, "AccessDenied"): Reason.ACCESS_DENIED,
    (403, "AllAccessDisabled"): Reason.ACCOUNT_PROBLEM,
    (403, "AccountProblem"): Reason.ACCOUNT_PROBLEM,
    (403, "NotSignedUp"): Reason.ACCOUNT_PROBLEM,
    (403, "RequestTimeTooSkewed"): Reason.CLOCK_SKEWED,
    (400, "RequestExpired"): Reason.CLOCK_SKEWED,
    (403, "InvalidAccessKeyId"): Reason.INVALID_CREDENTIALS,
    (403, "InvalidSecurity"): Reason.INVALID_CREDENTIALS,
    (403, "SignatureDoesNotMatch"): Reason.WRONG_SECRET,
    (400, "ExpiredToken"): Reason.CREDENTIALS,
    (409, "OperationAborted"): Reason.CONCURRENT_WRITE,
    (409, "ConditionalRequestConflict"): Reason.CONCURRENT_WRITE,
    (409, "409"): Reason.CONCURRENT_WRITE,
    (403, "403"): Reason.ACCESS_DENIED,
    (418, "IAmATeapot"): Reason.UNEXPECTED,
}


@pytest.mark.parametrize(("answer", "reason"), BY_CODE.items(), ids=lambda value: "-".join(map(str, value)))
def test_a_refusal_of_s3_has_its_own_reason(answer: tuple[int, str], reason: str) -> None:
    status, code = answer

    assert answers.reason_of(status, code) == reason


@pytest.mark.parametrize("reason", [Reason.CLOCK_SKEWED, Reason.INVALID_CREDENTIALS, Reason.WRONG_SECRET])
def test_what_no_policy_is_behind_is_not_remedied_by_a_permission(reason: str) -> None:
    remedy = reasons.remedy_of(reason)

    assert "permission" not in remedy
    assert "syncd check" not in remedy


def test_every_reason_has_a_remedy_of_its_own() -> None:
    assert set(Reason) == set(reasons.REMEDIES)
    assert len(set(reasons.REMEDIES.values())) == len(reasons.REMEDIES)


@pytest.mark.parametrize(
    ("code", "message", "said"),
    [
        ("NoSuchKey", "The specified key does not exist.", "NoSuchKey: The specified key does not exist."),
        ("SlowDown", "", "SlowDown"),
        ("", "", ""),
        # The reason is one of these words already.
        ("connection_failed", "socket connection refused.", "socket connection refused."),
        ("timeout", "no answer within 60 s", "no answer within 60 s"),
        ("timeout", "", "timeout"),
        # The C runtime's own words for a clock that is wrong.
        (
            "RequestTimeTooSkewed",
            "RequestTimeTooSkewed error received from S3.",
            "RequestTimeTooSkewed error received from S3.",
        ),
        # The answer to a HEAD has no body, and what is not S3 none of S3's.
        ("403", "no reason given", "no reason given (HTTP 403)"),
        ("403", "", "403"),
        ("502", "Bad Gateway", "Bad Gateway (HTTP 502)"),
        # What call, principal and resource repeat.
        (
            "AccessDenied",
            'User: arn:x is not authorized to perform: s3:GetObject on resource: "arn:y" because no policy allows it',
            "AccessDenied: because no policy allows it",
        ),
        # Of another call, and of another resource: the key.
        (
            "AccessDenied",
            "User: arn:x is not authorized to perform: kms:Decrypt on resource: arn:key",
            "AccessDenied: User: arn:x is not authorized to perform: kms:Decrypt on resource: arn:key",
        ),
    ],
)
def test_of_an_answer_is_said_what_is_not_told_already(code: str, message: str, said: str) -> None:
    assert answers.said("GetObject", code, message) == said


def test_a_remedy_names_the_job_and_the_key_in_its_commands() -> None:
    denied = reasons.remedy_of(Reason.ACCESS_DENIED, job="account-b", key="a/b.json.gz")
    gone = reasons.remedy_of(Reason.OBJECT_GONE, job="account-b", key="it's; rm\x1b -r")

    assert "`syncd check account-b` names" in denied
    assert r"`syncd ledger quarantine accept 'it\x27s;\x20rm\x1b\x20-r' --job account-b` gives up" in gone


def test_a_remedy_keeps_its_placeholders_for_what_is_not_known() -> None:
    assert "`syncd check JOB`" in reasons.remedy_of(Reason.ACCESS_DENIED)
    assert "quarantine accept KEY --job account-b`" in reasons.remedy_of(Reason.CONFLICT, job="account-b")
