"""The documents of a job: what they allow, what they refuse, and what linters say of them."""

import json
import warnings
from typing import Any

import hcl2
import pytest
from cfnlint.api import lint_all
from policy_jobs import BUCKET, REPLICAS, ROLE, USER, allows, document, job, lets

from syncd.aws.policies import documents as policies
from syncd.aws.policies import statements, terraform
from syncd.aws.policies.documents import Kind, documents, statement_of
from syncd.aws.policies.files import Format, files, policies_document
from syncd.aws.policies.session import LONGEST_POLICY, copy_policy, session_policy
from syncd.config.job import Job

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it leaves two files of its own open, and uses pkg_resources
    import parliament

OWN = "AWSLogs/222222222222/"
OTHER = "AWSLogs/333333333333/"
OTHER_USER = "arn:aws:iam::222222222222:user/somebody"
OTHER_ACCOUNT = "arn:aws:iam::333333333333:user/syncd"
RUNNER = "arn:aws:sts::222222222222:assumed-role/runner/i-0123456789"
KEY = "arn:aws:kms:us-east-1:222222222222:key/12345678-1234-1234-1234-123456789012"

SCENARIOS = {
    "own accounts": job(),
    "third party": job(source={"accounts": "*"}, role={"external_id": "z-0001", "third_party": True}),
    "organization": job(source={"organization_id": "o-exampleorgid", "accounts": "*", "prefix": "trails"}),
    "one account of an organization": job(source={"organization_id": "o-exampleorgid"}),
    "flat": job(source={"layout": "flat", "prefix": "logs", "accounts": "*"}),
    "special characters": job(source={"layout": "flat", "prefix": "a*b?${c}", "accounts": "*"}),
    "whole bucket": job(source={"layout": "%Y/%m/%d/", "accounts": "*"}),
    "direct": job(role=None),
    "server-side by the role": job(destination={"copy": "server-side", "signer": "role", "kms_key_id": KEY}),
    "server-side by the consumer": job(destination={"copy": "server-side"}),
    "everything at the destination": job(
        destination={
            "prefix": "replica/",
            "kms_key_id": "alias/replicas",
            "tags": {"origin": "syncd"},
            "acl": "bucket-owner-full-control",
        }
    ),
    "GovCloud": job(
        role={"arn": "arn:aws-us-gov:iam::111111111111:role/Test"},
        source={"region": "us-gov-west-1"},
        destination={"region": "us-gov-west-1"},
    ),
    "China": job(
        role={"arn": "arn:aws-cn:iam::111111111111:role/Test"},
        source={"region": "cn-north-1"},
        destination={"region": "cn-north-1"},
    ),
}


@pytest.fixture(params=SCENARIOS)
def scenario(request: pytest.FixtureRequest) -> Job:
    return SCENARIOS[request.param]


@pytest.fixture(params=[None, USER, RUNNER], ids=["account", "user", "session"])
def principal(request: pytest.FixtureRequest) -> str | None:
    return request.param


def test_the_consumers_user_may_assume_the_role() -> None:
    trust = document(job(), policies.ROLE_TRUST)

    assert lets(trust, USER, "sts:AssumeRole", ROLE)


@pytest.mark.parametrize("other", [OTHER_USER, OTHER_ACCOUNT, "arn:aws:iam::222222222222:role/syncd"])
def test_nobody_else_may_assume_the_role(other: str) -> None:
    trust = document(job(), policies.ROLE_TRUST)

    assert not lets(trust, other, "sts:AssumeRole", ROLE)


def test_without_a_known_user_the_account_is_trusted_and_no_other() -> None:
    trust = document(job(), policies.ROLE_TRUST, None)

    assert lets(trust, OTHER_USER, "sts:AssumeRole", ROLE)
    assert not lets(trust, OTHER_ACCOUNT, "sts:AssumeRole", ROLE)


@pytest.mark.parametrize("role", ["arn:aws:iam::222222222222:role/runner", "arn:aws:iam::222222222222:role/a/b/runner"])
def test_a_session_stands_for_its_role_whatever_its_path(role: str) -> None:
    """For a session aws:PrincipalArn is the role's ARN, which the session's own ARN tells without its path."""
    trust = document(job(), policies.ROLE_TRUST, RUNNER)

    assert lets(trust, role, "sts:AssumeRole", ROLE)
    assert not lets(trust, f"{role}-2", "sts:AssumeRole", ROLE)


@pytest.mark.parametrize(("external_id", "is_allowed"), [("z-0001", True), ("z-0002", False), (None, False)])
def test_a_third_party_assumes_the_role_with_its_external_id_only(external_id: str | None, *, is_allowed: bool) -> None:
    trust = document(SCENARIOS["third party"], policies.ROLE_TRUST)
    given = {"sts_ExternalId": external_id} if external_id else {}

    assert lets(trust, USER, "sts:AssumeRole", ROLE, **given) is is_allowed


def test_the_role_reads_the_consumers_own_logs_only() -> None:
    access = document(job(), policies.ROLE_ACCESS)

    assert allows(access, "s3:GetObject", f"{BUCKET}/{OWN}CloudTrail/x.json.gz")
    assert not allows(access, "s3:GetObject", f"{BUCKET}/{OTHER}CloudTrail/x.json.gz")
    assert not allows(access, "s3:GetObject", f"arn:aws:s3:::another/{OWN}CloudTrail/x.json.gz")


@pytest.mark.parametrize(
    ("prefix", "is_allowed"),
    [(OWN, True), (f"{OWN}CloudTrail/us-east-1/", True), (OTHER, False), ("AWSLogs/", False), ("", False)],
)
def test_the_role_lists_the_consumers_own_prefix_only(prefix: str, *, is_allowed: bool) -> None:
    access = document(job(), policies.ROLE_ACCESS)

    assert allows(access, "s3:ListBucket", BUCKET, s3_prefix=prefix) is is_allowed


def test_the_role_lists_nothing_without_a_prefix() -> None:
    access = document(job(), policies.ROLE_ACCESS)

    assert not allows(access, "s3:ListBucket", BUCKET)


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:DeleteObject", "s3:PutBucketPolicy", "s3:GetObjectAcl"])
def test_the_role_changes_nothing_at_the_source(action: str) -> None:
    access = document(job(), policies.ROLE_ACCESS)

    assert not allows(access, action, f"{BUCKET}/{OWN}x")


def test_a_third_partys_role_reads_the_logs_of_all_accounts_and_nothing_beside_them() -> None:
    access = document(SCENARIOS["third party"], policies.ROLE_ACCESS)

    assert allows(access, "s3:GetObject", f"{BUCKET}/{OWN}x")
    assert allows(access, "s3:GetObject", f"{BUCKET}/{OTHER}x")
    assert not allows(access, "s3:GetObject", f"{BUCKET}/payroll/x")


def test_an_organizations_folder_and_the_trails_prefix_are_part_of_what_is_allowed() -> None:
    access = document(SCENARIOS["organization"], policies.ROLE_ACCESS)

    assert allows(access, "s3:GetObject", f"{BUCKET}/trails/AWSLogs/o-exampleorgid/222222222222/x")
    assert not allows(access, "s3:GetObject", f"{BUCKET}/trails/AWSLogs/222222222222/x")
    assert not allows(access, "s3:GetObject", f"{BUCKET}/AWSLogs/o-exampleorgid/222222222222/x")


def test_the_key_statement_lets_the_role_decrypt_trails_through_s3_only() -> None:
    key = document(job(), policies.SOURCE_KEY)
    context = {"kms_EncryptionContext:aws:cloudtrail:arn": "arn:aws:cloudtrail:us-east-1:111111111111:trail/t"}
    through_s3 = {"kms_ViaService": "s3.us-east-1.amazonaws.com"}

    assert lets(key, ROLE, "kms:Decrypt", KEY, **context, **through_s3)
    assert not lets(key, ROLE, "kms:Decrypt", KEY, **through_s3)
    assert not lets(key, ROLE, "kms:Decrypt", KEY, **context)
    assert not lets(key, ROLE, "kms:Encrypt", KEY, **context, **through_s3)
    assert not lets(key, USER, "kms:Decrypt", KEY, **context, **through_s3)


def test_the_consumer_may_ask_for_this_role_only() -> None:
    assume = document(job(), policies.CONSUMER_ASSUME)

    assert allows(assume, "sts:AssumeRole", ROLE)
    assert not allows(assume, "sts:AssumeRole", f"{ROLE}2")


@pytest.mark.parametrize("action", ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload"])
def test_the_consumer_writes_and_compares_replicas_under_its_own_prefix_only(action: str) -> None:
    write = document(SCENARIOS["everything at the destination"], policies.CONSUMER_WRITE)

    assert allows(write, action, f"{REPLICAS}/replica/{OWN}x")
    assert not allows(write, action, f"{REPLICAS}/{OWN}x")
    assert not allows(write, action, f"{BUCKET}/replica/{OWN}x")


@pytest.mark.parametrize("action", ["s3:DeleteObject", "s3:DeleteObjectVersion", "s3:PutBucketVersioning"])
def test_the_consumer_deletes_no_replica(action: str) -> None:
    write = document(SCENARIOS["everything at the destination"], policies.CONSUMER_WRITE)

    assert not allows(write, action, f"{REPLICAS}/replica/{OWN}x")


@pytest.mark.parametrize("action", ["s3:PutObjectTagging", "s3:PutObjectAcl"])
def test_tags_and_acl_are_allowed_where_the_job_sets_them(action: str) -> None:
    plain = document(job(), policies.CONSUMER_WRITE)
    adorned = document(SCENARIOS["everything at the destination"], policies.CONSUMER_WRITE)

    assert not allows(plain, action, f"{REPLICAS}/{OWN}x")
    assert allows(adorned, action, f"{REPLICAS}/replica/{OWN}x")


@pytest.mark.parametrize(
    ("key_id", "alias", "is_allowed"),
    [
        (KEY, "", True),
        (KEY.rpartition("/")[2], "", True),
        ("alias/replicas", "alias/replicas", True),
        ("alias/replicas", "alias/other", False),
        ("arn:aws:kms:us-east-1:222222222222:alias/replicas", "alias/replicas", True),
        (f"{KEY[:-1]}3", "", False),
    ],
)
def test_the_consumer_encrypts_with_the_destinations_key_only(key_id: str, alias: str, *, is_allowed: bool) -> None:
    write = document(job(destination={"kms_key_id": key_id}), policies.CONSUMER_WRITE)
    context = {"kms_ViaService": "s3.us-east-1.amazonaws.com", "kms_ResourceAliases": alias}

    assert allows(write, "kms:GenerateDataKey", KEY, **context) is is_allowed


def test_direct_reading_needs_a_bucket_policy_and_no_role() -> None:
    direct = SCENARIOS["direct"]

    names = [item.name for item in documents(direct, USER)]

    assert names == [policies.SOURCE_BUCKET, policies.SOURCE_KEY, policies.CONSUMER_READ, policies.CONSUMER_WRITE]


def test_the_source_bucket_policy_lets_the_consumers_user_read_its_own_logs_only() -> None:
    bucket = document(SCENARIOS["direct"], policies.SOURCE_BUCKET)

    assert lets(bucket, USER, "s3:GetObject", f"{BUCKET}/{OWN}x")
    assert lets(bucket, USER, "s3:ListBucket", BUCKET, s3_prefix=OWN)
    assert not lets(bucket, USER, "s3:ListBucket", BUCKET, s3_prefix=OTHER)
    assert not lets(bucket, USER, "s3:GetObject", f"{BUCKET}/{OTHER}x")
    assert not lets(bucket, USER, "s3:PutObject", f"{BUCKET}/{OWN}x")
    assert not lets(bucket, OTHER_USER, "s3:GetObject", f"{BUCKET}/{OWN}x")


def test_the_consumers_own_policy_allows_what_the_source_bucket_policy_does() -> None:
    read = document(SCENARIOS["direct"], policies.CONSUMER_READ)

    assert allows(read, "s3:GetObject", f"{BUCKET}/{OWN}x")
    assert allows(read, "s3:ListBucket", BUCKET, s3_prefix=OWN)
    assert not allows(read, "s3:ListBucket", BUCKET, s3_prefix=OTHER)


def test_a_role_that_copies_server_side_is_let_in_at_the_destination_and_may_write_there() -> None:
    by_role = SCENARIOS["server-side by the role"]
    bucket, access = document(by_role, policies.DESTINATION_BUCKET), document(by_role, policies.ROLE_ACCESS)

    assert lets(bucket, ROLE, "s3:PutObject", f"{REPLICAS}/{OWN}x")
    assert not lets(bucket, f"{ROLE}2", "s3:PutObject", f"{REPLICAS}/{OWN}x")
    assert not lets(bucket, ROLE, "s3:GetObject", f"{REPLICAS}/{OWN}x")
    assert not lets(bucket, ROLE, "s3:DeleteObject", f"{REPLICAS}/{OWN}x")
    assert allows(access, "s3:PutObject", f"{REPLICAS}/{OWN}x")


@pytest.mark.parametrize("mode", ["stream", "server-side", "auto"])
def test_tags_are_read_and_written_only_if_replicas_are_to_carry_the_sources(mode: str) -> None:
    plain, tagging = job(destination={"copy": mode}), job(destination={"copy": mode, "copy_tags": True})

    for each, wanted in ((plain, False), (tagging, True)):
        assert ("s3:GetObjectTagging" in statements.read_actions(each)) is wanted
        assert ("s3:PutObjectTagging" in statements.write_actions(each)) is wanted


def test_a_consumer_that_copies_server_side_is_let_in_at_the_source() -> None:
    by_consumer = SCENARIOS["server-side by the consumer"]

    names = [item.name for item in documents(by_consumer, USER)]

    assert policies.SOURCE_BUCKET in names
    assert policies.DESTINATION_BUCKET not in names
    assert lets(document(by_consumer, policies.SOURCE_BUCKET), USER, "s3:GetObject", f"{BUCKET}/{OWN}x")


def test_documents_of_other_partitions_name_their_own_arns() -> None:
    texts = {
        name: json.dumps([item.body for item in documents(SCENARIOS[name], None)]) for name in ("GovCloud", "China")
    }

    assert "arn:aws:" not in texts["GovCloud"] + texts["China"]
    assert "arn:aws-us-gov:s3:::example-trail" in texts["GovCloud"]
    assert "arn:aws-cn:s3:::example-trail" in texts["China"]


def test_every_document_says_where_it_goes_and_why(scenario: Job, principal: str | None) -> None:
    for item in documents(scenario, principal):
        assert item.account_id in (scenario.source.account_id, scenario.consumer.account_id)
        assert item.target
        assert item.why.endswith(".")


def test_documents_of_resources_alone_name_principals(scenario: Job, principal: str | None) -> None:
    for item in documents(scenario, principal):
        named = {"Principal" in statement for statement in item.statements}
        assert named == {item.kind is not Kind.ACCESS}


def test_no_document_allows_a_wildcard_action(scenario: Job) -> None:
    for item in documents(scenario, USER):
        for statement in item.statements:
            assert "*" not in json.dumps(statement["Action"])


def test_parliament_finds_nothing_in_access_policies(scenario: Job, principal: str | None) -> None:
    for item in documents(scenario, principal):
        if item.kind is Kind.ACCESS:
            assert complaints(item.body) == []


def test_parliament_finds_nothing_in_the_session_policy(scenario: Job) -> None:
    assert complaints(json.loads(session_policy(scenario))) == []


def test_parliament_finds_nothing_in_the_policy_of_the_session_that_copies(scenario: Job) -> None:
    found = complaints(json.loads(copy_policy(scenario)))

    # Where the job names no key, the bucket's default may be any.
    of_any_key = "RESOURCE_STAR - ['kms:Decrypt', 'kms:GenerateDataKey']"
    named = scenario.destination.kms_key_id is not None
    assert [finding for finding in found if named or not finding.startswith(of_any_key)] == []


def complaints(body: dict[str, Any]) -> list[str]:
    # It knows the commercial partition's ARNs only.
    text = json.dumps(body).replace("arn:aws-us-gov:", "arn:aws:").replace("arn:aws-cn:", "arn:aws:")
    found = [str(finding) for finding in parliament.analyze_policy_string(text).findings]
    # A condition key of KMS keys as a resource, which its tables of actions leave out.
    return [finding for finding in found if "Unknown condition kms:ResourceAliases" not in finding]


def test_parliament_would_find_a_wrong_action() -> None:
    body = document(job(), policies.ROLE_ACCESS).body
    spoilt = json.loads(json.dumps(body).replace("s3:GetObject", "s3:ReadObject"))

    assert complaints(spoilt)


@pytest.mark.parametrize(
    "name", ["own accounts", "third party", "special characters", "direct", "server-side by the role", "China"]
)
@pytest.mark.parametrize("principal", [None, USER, RUNNER])
def test_cfn_lint_finds_nothing_in_the_templates(name: str, principal: str | None) -> None:
    for file in files(SCENARIOS[name], documents(SCENARIOS[name], principal), principal, Format.CLOUDFORMATION):
        if file.name == "template.json":
            matches = [match for match in lint_all(file.text) if not match.rule.id.startswith("I")]
            assert [str(match) for match in matches] == []


def test_templates_hold_the_documents_as_they_are() -> None:
    made = files(job(), documents(job(), USER), USER, Format.CLOUDFORMATION)

    source, consumer = (json.loads(file.text) for file in made if file.name == "template.json")
    role = source["Resources"]["Role"]["Properties"]
    assert role["AssumeRolePolicyDocument"] == document(job(), policies.ROLE_TRUST).body
    assert role["Policies"][0]["PolicyDocument"] == document(job(), policies.ROLE_ACCESS).body
    written = consumer["Resources"]["ConsumerWritePolicy"]["Properties"]
    assert written["PolicyDocument"] == document(job(), policies.CONSUMER_WRITE).body
    assert written["Users"] == ["syncd"]


def test_terraform_holds_the_documents_as_they_are(scenario: Job, principal: str | None) -> None:
    found = documents(scenario, principal)

    for account_id, text in terraform.files(scenario, found, principal).items():
        held = [
            decoded(block)
            for resource in hcl2.loads(text).get("resource", [])
            for labelled in resource.values()
            for block in labelled.values()
            if isinstance(block, dict) and "count" not in block
        ]
        owned = [item.body for item in found if item.account_id == account_id and not item.is_shared]
        assert sorted(map(json.dumps, held)) == sorted(map(json.dumps, owned))


def decoded(block: dict[str, Any]) -> Any:
    """The policy in a resource, read back from its jsonencode call."""
    expression = block.get("policy") or block["assume_role_policy"]
    inner = expression.removeprefix("${jsonencode(").removesuffix(")}")
    return _plain(hcl2.loads(f"document = {inner}\n")["document"])


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {_plain(key): _plain(item) for key, item in value.items() if not key.startswith("__")}
        case list():
            return [_plain(item) for item in value]
        case str():
            return value.removeprefix('"').removesuffix('"').replace("$${", "${").replace("%%{", "%{")
    return value


def test_a_text_that_looks_like_a_template_stays_a_text_in_terraform() -> None:
    tricky = job(source={"layout": "flat", "prefix": "a${b}%{c}", "accounts": "*"})

    text = terraform.files(tricky, documents(tricky, USER), USER)["111111111111"]

    assert "a$${$}{b}%%{c}*" in text


def test_a_prefix_of_special_characters_means_itself_in_every_statement() -> None:
    special = job(
        source={"layout": "flat", "prefix": "a*b?", "accounts": "*"},
        destination={"prefix": "$/", "copy": "server-side", "signer": "role"},
    )
    listing, reading, writing = document(special, policies.ROLE_ACCESS).statements

    (let_in,) = document(special, policies.DESTINATION_BUCKET).statements

    assert listing["Condition"] == {"StringLike": {"s3:prefix": "a${*}b${?}*"}}
    assert reading["Resource"] == f"{BUCKET}/a${{*}}b${{?}}*"
    assert writing["Resource"] == let_in["Resource"] == f"{REPLICAS}/${{$}}/a${{*}}b${{?}}*"


def test_a_roles_path_of_special_characters_means_itself_where_it_is_a_pattern_and_stays_where_it_is_a_principal() -> (
    None
):
    arn = "arn:aws:iam::111111111111:role/a*/Test"
    pathed = job(role={"arn": arn}, destination={"copy": "server-side", "signer": "role"})

    (assume,) = document(pathed, policies.CONSUMER_ASSUME).statements
    (let_in,) = document(pathed, policies.DESTINATION_BUCKET).statements
    (decrypt,) = document(pathed, policies.SOURCE_KEY).statements

    escaped = "arn:aws:iam::111111111111:role/a${*}/Test"
    assert assume["Resource"] == escaped
    assert let_in["Condition"]["ArnLike"] == {"aws:PrincipalArn": escaped}
    assert decrypt["Principal"] == {"AWS": arn}


def test_the_alias_in_an_arn_is_one_of_the_account_that_the_arn_names() -> None:
    other = job(destination={"kms_key_id": "arn:aws:kms:us-east-1:111111111111:alias/replicas"})

    encrypting = document(other, policies.CONSUMER_WRITE).statements[1]

    assert encrypting["Resource"] == "arn:aws:kms:us-east-1:111111111111:key/*"


def test_shared_documents_are_json_in_every_format_and_are_added_by_hand() -> None:
    found = documents(SCENARIOS["direct"], USER)

    names = {
        style: [
            file.name for file in files(SCENARIOS["direct"], found, USER, style) if file.account_id == "111111111111"
        ]
        for style in Format
    }

    by_hand = ["source-bucket-policy.json", "source-key-policy.json"]
    assert names == dict.fromkeys(Format, by_hand)
    assert all(item.command is None for item in found if item.is_shared)


def test_a_document_too_long_for_aws_is_said_to_be() -> None:
    many = job(source={"accounts": [f"{number:012}" for number in range(1, 300)]})

    access = next(
        file for file in files(many, documents(many, USER), USER, Format.JSON) if file.name == "role-access-policy.json"
    )

    assert any("AWS takes 10240" in sentence for sentence in access.about)


def test_a_role_in_a_path_is_made_in_it() -> None:
    pathed = job(role={"arn": "arn:aws:iam::111111111111:role/log/readers/Test", "duration": "2h"})

    trust = document(pathed, policies.ROLE_TRUST)
    source = files(pathed, documents(pathed, USER), USER, Format.CLOUDFORMATION)[0]

    assert trust.command is not None
    assert "--role-name Test --path /log/readers/ --max-session-duration 7200" in trust.command
    role = json.loads(source.text)["Resources"]["Role"]["Properties"]
    assert (role["RoleName"], role["Path"], role["MaxSessionDuration"]) == ("Test", "/log/readers/", 7200)


def test_the_json_document_has_every_statement_and_file() -> None:
    found = documents(job(), USER)

    told = policies_document(job(), found, USER, Format.JSON)

    assert [item["name"] for item in told["documents"]] == [item.name for item in found]
    assert [json.loads(file["text"]) for file in told["files"]] == [item.body for item in found]
    assert told["principal"] == USER


def test_a_statement_is_found_by_its_name() -> None:
    item, statement = statement_of(documents(job(), USER), policies.ROLE_ACCESS, "ListLogs")

    assert item.target == "role Test"
    assert statement["Action"] == "s3:ListBucket"


def test_a_statement_that_a_job_does_not_need_is_not_found() -> None:
    with pytest.raises(KeyError):
        statement_of(documents(job(), USER), policies.DESTINATION_BUCKET, "WriteReplicas")


def test_a_session_policy_of_many_accounts_collapses_to_what_they_have_in_common() -> None:
    many = job(source={"accounts": [f"{number:012}" for number in range(1, 300)]})

    text = session_policy(many)

    assert len(text) <= LONGEST_POLICY
    assert '"arn:aws:s3:::example-trail/AWSLogs/*"' in text
