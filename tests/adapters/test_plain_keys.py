"""Access keys that are written down: read as botocore reads them, or left to it; and STS asked once, or by botocore again."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from faulty import Status
from hostile.server import Asked, answer, endless, hostile
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sts_stage import KNOWN_ROLE, WAYS, Stage, ask_sts_by, refusal, sts_stage

from syncd.aws.identity import sessions
from syncd.aws.identity.boto import session_of
from syncd.aws.identity.places import Place
from syncd.aws.identity.plain import calls
from syncd.aws.identity.plain.session import PlainSession, plain_session
from syncd.aws.identity.role import NO_POLICY
from syncd.aws.identity.sessions import Identities
from syncd.aws.s3 import Address, Request, Side
from syncd.aws.transport import Transport
from syncd.aws.wire import certificates
from syncd.aws.wire.signing import Credentials
from syncd.cli.demo.world import ACCOUNT_B
from syncd.config.job import Consumer
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

REGION = "eu-west-1"
KEYS = {"aws_access_key_id": "AKIAFILE", "aws_secret_access_key": "filed"}
IN_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": "AKIAENVIRONMENT", "AWS_SECRET_ACCESS_KEY": "told"}
SETTINGS = {
    **KEYS,
    "aws_session_token": "token",
    "aws_security_token": "older",
    "ca_bundle": "/nowhere/ca.pem",
    "cli_pager": "\n  less = more",
    "credential_process": "/nowhere/helper",
    "credential_source": "Environment",
    "endpoint_url": "http://127.0.0.1:9",
    "login_session": "arn:aws:iam::222222222222:user/b",
    "output": "json",
    "region": "us-west-2",
    "role_arn": "arn:aws:iam::222222222222:role/other",
    "s3": "\n  addressing_style = path",
    "services": "mine",
    "source_profile": "default",
    "sso_session": "corp",
    "sts_regional_endpoints": "legacy",
    "use_dualstack_endpoint": "true",
    "use_fips_endpoint": "true",
    "web_identity_token_file": "/nowhere/token",
}
VARIABLES = {
    **IN_ENVIRONMENT,
    "AWS_CA_BUNDLE": "/nowhere/other.pem",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:9/",
    "AWS_CREDENTIAL_EXPIRATION": "2036-01-01T00:00:00Z",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",
    "AWS_ENDPOINT_URL_STS": "http://127.0.0.1:9",
    "AWS_PROFILE": "b",
    "AWS_REGION": "us-west-2",
    "AWS_ROLE_ARN": "arn:aws:iam::222222222222:role/other",
    "AWS_SECURITY_TOKEN": "older",
    "AWS_SESSION_TOKEN": "told",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_WEB_IDENTITY_TOKEN_FILE": "/nowhere/token",
}
SECTIONS = (
    "default",
    "DEFAULT",
    "b",
    "profile b",
    "profile  b",
    "profile 'b'",
    'profile "b"',
    "profile default",
    "profile a b",
    "profiles b",
    "profile-x b",
    "profile: b",
    "services mine",
    "sso-session b",
)
OTHER_KEYS = {"aws_access_key_id": "AKIAOTHER", "aws_secret_access_key": "of b"}
BOTH = {"default": KEYS, "b": OTHER_KEYS}
_settings = st.lists(st.sampled_from(sorted(SETTINGS)), max_size=2).map(lambda names: {n: SETTINGS[n] for n in names})
_profiles = st.one_of(st.just(KEYS), _settings, _settings.map(lambda found: KEYS | found))
_credentials = st.one_of(
    st.just(BOTH),
    st.dictionaries(st.sampled_from(["default", "b", "profile b", "DEFAULT"]), _profiles, max_size=3),
)
_configs = st.one_of(st.just({}), st.dictionaries(st.sampled_from(SECTIONS), _settings, max_size=2))
_environments = st.one_of(
    st.just({}),
    st.lists(st.sampled_from(sorted(VARIABLES)), max_size=2).map(lambda names: {n: VARIABLES[n] for n in names}),
    st.sampled_from(sorted(VARIABLES)).map(lambda name: IN_ENVIRONMENT | {name: VARIABLES[name]}),
)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with sts_stage(tmp_path) as made:
        yield made


# What is read


def written(sections: Mapping[str, Mapping[str, str]]) -> str:
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in lines.items())
        for section, lines in sections.items()
    )


@contextmanager
def home(folder: Path, config: str | None, credentials: str | None, **environment: str) -> Iterator[None]:
    """The surroundings of a user with these files and variables."""
    (folder / ".aws").mkdir(exist_ok=True)
    for name, text in (("config", config), ("credentials", credentials)):
        path = folder / ".aws" / name
        path.unlink(missing_ok=True)
        if text is not None:
            path.write_text(text)
    with pytest.MonkeyPatch.context() as changed:
        for name in [*(name for name in os.environ if name.startswith("AWS_")), "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"]:
            changed.delenv(name, raising=False)
        for name, value in {"HOME": str(folder), **environment}.items():
            changed.setenv(name, value)
        yield


def consumer(profile: str | None = None, file: Path | None = None) -> Consumer:
    return Consumer.model_construct(account_id="222222222222", profile=profile, credentials_file=file)


def plain(who: Consumer, place: Place = Place(REGION, None)) -> PlainSession | None:  # noqa: B008  # a tuple
    return plain_session(who, place, whole=lambda *_: pytest.fail("botocore was asked"), wire=calls.Wire())


def found_as_botocore_finds_it(who: Consumer, place: Place) -> str:
    """Compare what is read with what botocore finds. Returns how it was read, or that it is left to botocore."""
    found = plain(who, place)
    if found is None:
        return "left to botocore"
    theirs: Any = session_of(who, place)
    looked_up = theirs.get_credentials()
    keys, frozen = found.get_credentials(), looked_up.get_frozen_credentials()

    assert (keys.access_key, keys.secret_key, keys.token) == (frozen.access_key, frozen.secret_key, frozen.token)
    assert keys.method == looked_up.method
    assert found.get_scoped_config() == theirs.get_scoped_config()
    assert certificates.authorities_of(found) == certificates.authorities_of(theirs)
    if not certificates.authorities_of(found):
        signing = {"aws_access_key_id": "A", "aws_secret_access_key": "s", "aws_session_token": None}
        ours, boto = found.create_client("sts", **signing).meta, theirs.create_client("sts", **signing).meta
        assert (ours.endpoint_url, ours.region_name) == (boto.endpoint_url.rstrip("/"), boto.region_name)
    return keys.method


def consumers(folder: Path) -> list[Consumer]:
    """Return one that takes the default chain, one with a profile, one with a file, and one with both."""
    file = folder / ".aws" / "credentials"
    return [consumer(), consumer("b"), consumer(None, file), consumer("b", file)]


@pytest.mark.parametrize("has_keys", [True, False], ids=["beside keys", "alone"])
@pytest.mark.parametrize("name", [None, *VARIABLES])
def test_a_variable_changes_nothing_that_botocore_finds_otherwise(
    tmp_path: Path,
    name: str | None,
    has_keys: bool,  # noqa: FBT001
) -> None:
    environment = {**(IN_ENVIRONMENT if has_keys else {}), **({name: VARIABLES[name]} if name else {})}
    with home(tmp_path, written({"profile b": {"region": "us-west-2"}}), written(BOTH), **environment):
        for who in consumers(tmp_path):
            found = found_as_botocore_finds_it(who, Place(REGION, None))
            # Otherwise it would compare nothing.
            assert name is not None or found != "left to botocore"


@pytest.mark.parametrize("name", SETTINGS)
def test_a_setting_changes_nothing_that_botocore_finds_otherwise(tmp_path: Path, name: str) -> None:
    setting = {name: SETTINGS[name]}
    for section in SECTIONS:
        config, credentials = {section: setting}, {**BOTH, section: {**BOTH.get(section, {}), **setting}}
        for files in ((config, BOTH), ({}, credentials)):
            with home(tmp_path, *map(written, files)):
                for who in consumers(tmp_path):
                    found_as_botocore_finds_it(who, Place(REGION, None))


def test_files_are_found_where_botocore_finds_them(tmp_path: Path) -> None:
    places = {"AWS_SHARED_CREDENTIALS_FILE": "$HOME/elsewhere", "AWS_CONFIG_FILE": "~/nowhere"}
    with home(tmp_path, "[default]\nrole_arn = r\n", None, **places):
        (tmp_path / "elsewhere").write_text(written(BOTH))

        assert found_as_botocore_finds_it(consumer("b"), Place(REGION, None)) == "shared-credentials-file"
        assert found_as_botocore_finds_it(consumer(), Place(REGION, None)) == "shared-credentials-file"


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    config=_configs,
    credentials=_credentials,
    environment=_environments,
    profile=st.sampled_from([None, "b", "default"]),
    is_named=st.booleans(),
    region=st.sampled_from([REGION, "us-east-1", "cn-north-1", "us-gov-west-1", "mars-1"]),
    endpoint=st.sampled_from([None, "http://127.0.0.1:9", "https://sts.example.com/path/"]),
)
def test_what_is_read_is_what_botocore_finds(  # whatever may differ
    tmp_path: Path,
    config: dict[str, dict[str, str]],
    credentials: dict[str, dict[str, str]],
    environment: dict[str, str],
    profile: str | None,
    is_named: bool,  # noqa: FBT001
    region: str,
    endpoint: str | None,
) -> None:
    with home(tmp_path, written(config), written(credentials), **environment):
        who = consumer(profile, tmp_path / ".aws" / "credentials" if is_named else None)
        event(found_as_botocore_finds_it(who, Place(region, endpoint)))


READ = {
    "the environment": (None, None, IN_ENVIRONMENT, None, "AKIAENVIRONMENT"),
    "a default profile": (None, written({"default": KEYS}), {}, None, "AKIAFILE"),
    "a profile": (None, written({"b": KEYS}), IN_ENVIRONMENT, "b", "AKIAFILE"),
    "a profile with a region": (
        written({"profile b": {"region": "us-west-2", "output": "json"}}),
        written({"b": KEYS}),
        {},
        "b",
        "AKIAFILE",
    ),
    "a profile beside others": (
        written({"profile a": {"credential_process": "/x"}, "default": {"role_arn": "r"}}),
        written({"b": KEYS, "a": {"role_arn": "r"}}),
        {},
        "b",
        "AKIAFILE",
    ),
}


@pytest.mark.parametrize("what", READ)
def test_keys_that_are_written_down_need_no_botocore(tmp_path: Path, what: str) -> None:
    config, credentials, environment, profile, key = READ[what]
    with home(tmp_path, config, credentials, **environment):
        found = plain(consumer(profile))

    assert found is not None
    assert found.get_credentials().access_key == key
    assert "filed" not in repr(found.get_credentials())


LEFT: Mapping[str, tuple[str | None, str | None, dict[str, str]]] = {
    "nothing": (None, None, {}),
    "a key without its secret": (None, None, {"AWS_ACCESS_KEY_ID": "AKIA"}),
    "an empty key": (None, written({"default": {**KEYS, "aws_access_key_id": ""}}), {}),
    "a file that is no text": (None, "[default\n", {}),
    "a profile that is there twice": (None, written({"default": KEYS}) * 2, {}),
    "a profile that is there in two spellings": (
        written({"default": {}, "profile default": {}}),
        written({"default": KEYS}),
        {},
    ),
    "a variable that nobody knows yet": (None, written({"default": KEYS}), {"AWS_NEW_PROVIDER": "x"}),
    "a setting that nobody knows yet": (None, written({"default": {**KEYS, "new_setting": "x"}}), {}),
}


@pytest.mark.parametrize("what", LEFT)
def test_whatever_is_less_plain_is_left_to_botocore(tmp_path: Path, what: str) -> None:
    config, credentials, environment = LEFT[what]
    with home(tmp_path, config, credentials, **environment):
        assert plain(consumer()) is None


@pytest.mark.parametrize("section", ["profile 'my prof'", r"profile my\ prof", "profile my prof", 'profile "my prof"'])
def test_a_name_with_a_space_is_read_as_botocore_reads_it(tmp_path: Path, section: str) -> None:
    for setting in ("role_arn", "ca_bundle", "region"):
        with home(tmp_path, written({section: {setting: SETTINGS[setting]}}), written({"my prof": KEYS})):
            found_as_botocore_finds_it(consumer("my prof"), Place(REGION, None))


@pytest.mark.parametrize("path", ["credentials/", "credentials/.", "credentials/../credentials", ""])
def test_a_file_is_there_where_it_is_for_botocore(tmp_path: Path, path: str) -> None:
    with home(tmp_path, None, written(BOTH)):
        place = f"{tmp_path}/.aws/{path}" if path else ""
    with home(tmp_path, None, written(BOTH), AWS_SHARED_CREDENTIALS_FILE=place, **IN_ENVIRONMENT):
        found_as_botocore_finds_it(consumer(), Place(REGION, None))
        assert plain(consumer("b")) is None or path == "credentials/../credentials"


@pytest.mark.parametrize(
    "url", ["http://h/sts", "http://H", "https://h:443", "http://h:80/", "http://u:p@h", "http://h?x", "ftp://h"]
)
def test_an_sts_that_botocore_would_ask_in_another_way_is_left_to_it(tmp_path: Path, url: str) -> None:
    with home(tmp_path, None, written(BOTH)):
        assert plain(consumer("b"), Place(REGION, url)) is None


def test_a_home_that_nobody_may_look_into_is_no_failure(tmp_path: Path) -> None:
    with home(tmp_path, None, None, **IN_ENVIRONMENT, HOME="/proc/1/cwd/nowhere"):
        assert found_as_botocore_finds_it(consumer(), Place(REGION, None)) == "env"


def test_models_of_services_of_the_users_own_are_left_to_botocore(tmp_path: Path) -> None:
    with home(tmp_path, None, written({"default": KEYS})):
        (tmp_path / ".aws" / "models").mkdir()

        assert plain(consumer()) is None


def test_a_region_that_nobody_knows_is_left_to_botocore_unless_sts_is_named(tmp_path: Path) -> None:
    with home(tmp_path, None, written({"default": KEYS})):
        assert plain(consumer(), Place("mars-1", None)) is None
        assert plain(consumer(), Place("mars-1", "http://127.0.0.1:9")) is not None


# What is asked


def test_a_refusal_is_asked_for_once(stage: Stage) -> None:
    stage.server.faults.add("AssumeRole", Status(403, "AccessDenied", "not authorized"))

    assert refusal(stage.role).reason == "access_denied"
    assert stage.server.count("AssumeRole") == 1


PASSING = {
    **{
        code: Status(400, code, "later")
        for code in (
            "IDPCommunicationError",
            "RequestLimitExceeded",
            "RequestTimeout",
            "TransactionInProgressException",
        )
    },
    "busy": Status(503, "ServiceUnavailable", "later"),
    "throttled": Status(400, "Throttling", "Rate exceeded"),
    "broken": Status(500, "InternalFailure", ""),
}


@pytest.mark.parametrize("what", PASSING)
def test_what_may_pass_is_asked_for_again(stage: Stage, what: str) -> None:
    stage.server.faults.add("AssumeRole", PASSING[what], times=1)

    assert stage.role().current().session_token
    assert stage.server.count("AssumeRole") == 2


IDENTITY = (
    b'<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><GetCallerIdentityResult>'
    b"<Arn>arn:aws:iam::222222222222:user/syncd</Arn><UserId>AIDA</UserId><Account>222222222222</Account>"
    b"</GetCallerIdentityResult></GetCallerIdentityResponse>"
)
AT_FIRST: Mapping[str, Callable[[Any], Iterable[bytes]]] = {
    "nothing at all": lambda server: server.drip(iter(()), 60.0),
    "a byte at a time": lambda server: server.drip(iter([b"H"] * 1000), 0.05),
    "no end": lambda _: endless(b"HTTP/1.1 200 OK\r\nContent-Length: 9000000000\r\n\r\n"),
    "a page": lambda _: [answer(b"<html>")],
    "another document": lambda _: [answer(IDENTITY.replace(b"<Arn>", b"<Other>").replace(b"</Arn>", b"</Other>"))],
    "a failure with a result": lambda _: [answer(IDENTITY.replace(b"syncd", b"nobody"), "500 Oops")],
    "no HTTP": lambda _: [b"\x00" * 100],
}


@pytest.mark.parametrize("what", AT_FIRST)
def test_an_answer_that_is_none_is_asked_for_again(stage: Stage, monkeypatch: pytest.MonkeyPatch, what: str) -> None:
    monkeypatch.setattr(calls, "WIRE_SECONDS", 0.5)

    def attack(asked: Asked) -> Iterable[bytes]:
        return AT_FIRST[what](server) if asked.number == 0 else [answer(IDENTITY)]

    with hostile(attack) as server:
        name = stage.consumer(stage.job(endpoints__sts=server.url)).name

    assert name == "arn:aws:iam::222222222222:user/syncd"
    assert server.sent_bytes < 64 * 1024**2


def test_a_server_that_was_silent_is_left_to_botocore_for_a_while(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(calls, "WIRE_SECONDS", 0.5)

    def attack(asked: Asked) -> Iterable[bytes]:
        return server.drip(iter(()), 60.0) if asked.number == 0 else [answer(IDENTITY)]

    with hostile(attack) as server:
        for user in ("one", "another"):
            stage.write("default", stage.server.add_user("222222222222", user))
            assert stage.consumer(stage.job(endpoints__sts=server.url)).name.endswith(":user/syncd")

        # The wire once, and botocore for each.
        assert len(server.asked) == 3


def test_what_was_read_holds_though_the_file_is_being_written_when_botocore_asks(stage: Stage) -> None:
    user = stage.server.add_user(ACCOUNT_B)
    stage.write("b", user)
    job = stage.job(consumer__profile="b")
    consumer = stage.consumer(job)
    stage.server.faults.add("AssumeRole", Status(500, "InternalFailure", ""), times=1)
    stage.credentials.write_text("")

    assert job.source.role is not None
    role = stage.identities.role(job, job.source.role, consumer, policies=[NO_POLICY], count=stage.count)
    assert role.current().session_token

    session = stage.identities.session_of(job)
    assert session.create_client("s3", region_name=REGION).meta.endpoint_url
    assert session.get_credentials().access_key == user.access_key_id
    assert session.get_config_variable("profile") == "b"


def test_what_is_wrong_elsewhere_in_a_file_is_no_failure(tmp_path: Path) -> None:
    with home(tmp_path, "[profile other]\ns3 =\n  no value here\n", written(BOTH)):
        found = Identities(now=lambda: 0.0).session(consumer("b"), Place(REGION, None))

        assert found.create_client("s3", region_name=REGION).meta.endpoint_url


def test_a_wire_that_cannot_begin_leaves_the_call_to_botocore(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def spent(**_: object) -> Transport:
        raise JobFailed(Reason.RESOURCE_LIMIT, "the wire cannot begin: Too many open files")

    monkeypatch.setattr(calls, "Transport", spent)

    assert stage.role().current().session_token


def test_authorities_that_never_end_hold_up_nobody_else(stage: Stage, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "authorities")
    stuck, free = calls.Wire(), threading.Event()
    address = Address("https", "127.0.0.1:9", "", REGION, str(tmp_path / "authorities"), service="sts")
    asked = Request("GetCallerIdentity", Side.SOURCE, "POST", "", "", ())
    signer = Credentials("AKIA", "secret", None, None)

    def ask() -> None:
        stuck.ask(asked, address, signer)
        free.set()

    threading.Thread(target=ask, daemon=True).start()
    plain_address = address._replace(scheme="http", host=stage.server.url.removeprefix("http://"), authorities="")

    assert stuck.ask(asked, plain_address, signer) is not None
    assert not free.is_set()
    (tmp_path / "authorities").write_text("")
    assert free.wait(60)


def test_of_the_codes_in_a_document_that_of_the_error_counts(stage: Stage) -> None:
    body = (
        b"<ErrorResponse><Error><Type>Sender</Type><Detail><Code>AccessDenied</Code></Detail><Code>ExpiredToken</Code>"
        b"<Message>over</Message></Error></ErrorResponse>"
    )
    with hostile(lambda _: [answer(body, "403 Forbidden")]) as server:
        error = refusal(lambda: stage.consumer(stage.job(endpoints__sts=server.url)))

    assert error.reason == "credentials_expired"


def test_sts_is_asked_as_botocore_asks_it(stage: Stage) -> None:
    """Both requests of one job with everything that a role may have, by either client, have the same parameters."""
    role = {
        "arn": KNOWN_ROLE,
        "session_name": "syncd",
        "external_id": "a+b=c@d:e/f",
        "source_identity": "syncd@example.com",
        "tags": {"team": "sec ops", "cost": "1+1=2"},
        "third_party": True,
    }
    job = stage.job(source__role=role)
    for way in WAYS:
        with pytest.MonkeyPatch.context() as changed:
            ask_sts_by(way, changed)
            stage.identities = sessions.Identities(now=stage.clock.seconds)
            stage.role(job)
    asked = [dict(each.form) for each in stage.server.requests if each.operation == "AssumeRole"]

    assert len(asked) == 2
    assert asked[0] == asked[1]
