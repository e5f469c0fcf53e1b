"""What to do about a denial: the statement of the policy that AWS says decided, or of each that could have."""

import json

import pytest
from policy_jobs import ROLE, USER, job

from syncd.check.remedies import Denier, Remedies, denier_of, is_explicit
from syncd.config.job import Job

NO_IDENTITY = "because no identity-based policy allows the s3:GetObject action"
NO_RESOURCE = "because no resource-based policy allows the s3:GetObject action"
DENIED_BY_RESOURCE = "with an explicit deny in a resource-based policy"
DENIED_BY_IDENTITY = "with an explicit deny in an identity-based policy"
KMS = "User: x is not authorized to perform: kms:Decrypt on resource: y because no resource-based policy allows it"
OF_ROLE = "in account 111111111111, to the access policy of role Test, add: "
OF_USER = "in account 222222222222, to the access policy of user syncd, add: "
OF_BUCKET = "in account 111111111111, to the bucket policy of bucket example-trail, add: "


def remedies(of: Job | None = None) -> Remedies:
    return Remedies(of or job(), USER)


@pytest.mark.parametrize("denier", Denier)
def test_the_kind_of_policy_that_decided_is_read_off_the_message(denier: Denier) -> None:
    message = f"User: x is not authorized to perform: y on resource: z because no {denier.value} allows the y action"

    assert denier_of(message) is denier
    assert not is_explicit(message)


def test_a_message_may_name_no_policy() -> None:
    assert denier_of("Access Denied") is None


def test_an_added_statement_is_whole() -> None:
    remedy = remedies().reading("")

    statement = json.loads(remedy.removeprefix(OF_ROLE))
    assert statement == {
        "Sid": "ReadLogs",
        "Effect": "Allow",
        "Action": "s3:GetObject",
        "Resource": "arn:aws:s3:::example-trail/AWSLogs/222222222222/*",
    }


def test_with_a_role_the_roles_policy_is_the_place_whatever_the_message_says() -> None:
    assert remedies().listing("Access Denied").startswith(OF_ROLE)
    assert remedies().listing(NO_IDENTITY).startswith(OF_ROLE)


def test_without_a_role_either_side_may_be_what_is_missing() -> None:
    direct = remedies(job(role=None))

    assert direct.reading(NO_IDENTITY).startswith(OF_USER)
    assert direct.reading(NO_RESOURCE).startswith(OF_BUCKET)
    assert OF_USER in direct.reading("Access Denied")
    assert OF_BUCKET in direct.reading("Access Denied")


def test_within_one_account_the_consumers_own_policy_is_the_place() -> None:
    own = remedies(job(role=None, source={"account_id": "222222222222"}))

    assert own.reading("Access Denied").startswith(OF_USER)
    assert "bucket policy" not in own.reading("Access Denied")


def test_a_deny_is_to_be_removed_rather_than_an_allow_added() -> None:
    assert remedies().listing(DENIED_BY_RESOURCE) == (
        "in the bucket policy of example-trail, remove or narrow the Deny that matches this call"
    )
    assert "the access policy of role Test, remove or narrow the Deny" in remedies().reading(DENIED_BY_IDENTITY)
    assert "the bucket policy of example-b-logs, remove" in remedies().writing(DENIED_BY_RESOURCE)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("service control policy", "organization's administrator"),
        ("resource control policy", "organization's administrator"),
        ("permissions boundary", "permissions boundary"),
        ("VPC endpoint policy", "VPC endpoint"),
        ("session policy", "session policy"),
    ],
)
def test_what_no_document_of_a_job_can_mend_is_told_as_such(policy: str, words: str) -> None:
    message = f"because no {policy} allows the action"

    for remedy in (remedies().listing(message), remedies().writing(message), remedies().assuming(message)):
        assert words in remedy
        assert "add: " not in remedy


def test_a_denial_by_the_roles_session_policy_is_the_jobs_since_syncd_makes_it() -> None:
    message = "because no session policy allows the action"

    for remedy in (remedies().listing(message), remedies().reading(message), remedies().reading(f"kms: {message}")):
        assert "source.prefix, source.accounts" in remedy
    assert "the creator of its session" in remedies().writing(message)
    assert "the creator of its session" in remedies(job(role=None)).reading(message)


def test_an_unexplained_denial_of_the_role_lists_every_cause_with_its_statement() -> None:
    remedy = remedies(job(role={"external_id": "z-0001", "third_party": True})).assuming("Access Denied")

    assert "(1) in account 111111111111, role Test exists" in remedy
    assert "(2) its trust policy trusts this principal, and its external ID is the one in the job: " in remedy
    assert '"sts:ExternalId":"z-0001"' in remedy
    assert (
        f'(3) {OF_USER}{{"Sid":"AssumeRole","Effect":"Allow","Action":"sts:AssumeRole","Resource":"{ROLE}"}}' in remedy
    )


def test_an_explained_denial_of_the_role_names_one_place() -> None:
    assert remedies().assuming(NO_IDENTITY).startswith(OF_USER)
    assert "to the trust policy of role Test, add: " in remedies().assuming("because no role trust policy allows it")
    assert "in the access policy of user syncd, remove or narrow the Deny" in remedies().assuming(DENIED_BY_IDENTITY)


def test_a_denial_by_kms_is_mended_in_the_keys_policy() -> None:
    assert remedies().reading(KMS).startswith("in account 111111111111, to the key policy of the KMS key of the logs")
    assert "DecryptLogsAsConsumer" in remedies(job(role=None)).reading(KMS)
    assert OF_USER in remedies(job(role=None)).reading(KMS)


def test_an_unknown_consumer_is_told_by_its_account() -> None:
    remedy = Remedies(job(), None).writing("Access Denied")

    assert "the user or role of account 222222222222 that runs syncd, add: " in remedy
