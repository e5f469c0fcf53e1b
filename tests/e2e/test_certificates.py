"""TLS of servers that a private authority signed, and proxies: the same for STS, listings and copies."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from builders import ACCOUNTS, REGIONS, Trail
from certificates import Authority
from faulty import FaultyS3
from program import Ran
from proxy import ConnectProxy
from stage import Stage

DEADLINE_SECONDS = 45.0


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def private(authority: Authority, tmp_path: Path, now: datetime) -> Iterator[Stage]:
    """A job whose S3 and STS have a certificate of the authority, with three logs and a large object."""
    with FaultyS3(certificate=authority.certificate()) as server:
        yield prepared(Stage(server, tmp_path), now)


def prepared(stage: Stage, now: datetime) -> Stage:
    stamp = now - timedelta(hours=2)
    stage.deliver(Trail().log(ACCOUNTS[0], REGIONS[0], stamp, number) for number in range(3))
    stage.job()
    return stage


def copied(stage: Stage, ran: Ran) -> None:
    assert (ran.code, ran.job["copied"]) == (0, 3), ran
    assert stage.replica() == stage.source()


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_file_of_authorities_holds_for_sts_listings_and_copies(
    private: Stage, authority: Authority, variable: str
) -> None:
    copied(private, private.syncd("tick", "--json", **{variable: str(authority.path)}))


def test_the_authorities_of_a_profile_hold_too(private: Stage, authority: Authority) -> None:
    (private.folder / "home" / ".aws").mkdir()
    (private.folder / "home" / ".aws" / "config").write_text(f"[profile account-z]\nca_bundle = {authority.path}\n")

    copied(private, private.syncd("tick", "--json"))


@pytest.mark.parametrize("verb", ["tick", "plan"])
def test_a_certificate_that_nobody_here_trusts_is_reported_as_that(private: Stage, verb: str) -> None:
    ran = private.syncd(verb, "--json", seconds=DEADLINE_SECONDS)

    assert ran.code == 1
    assert ran.job["error"]["reason"] == "certificate_untrusted"
    assert "AWS_CA_BUNDLE" in ran.job["error"]["remedy"]


@pytest.mark.parametrize("fault", ["unknown", "expired", "another host"])
def test_it_is_reported_of_s3_too_within_the_deadline(
    stage: Stage, authority: Authority, tmp_path: Path, now: datetime, fault: str
) -> None:
    """STS answers, as AWS's does beside an S3 of one's own, and the runtime says nothing of the certificate."""
    other = Authority(tmp_path, "other")
    certificate = {
        "unknown": other.certificate(),
        "expired": authority.certificate(is_expired=True),
        "another host": authority.certificate(host="s3.example.net"),
    }[fault]
    with FaultyS3(certificate=certificate) as server:
        prepared(stage, now)
        stage.job(changes={"endpoints.s3": server.url})

        ran = stage.syncd("tick", "--json", seconds=DEADLINE_SECONDS, AWS_CA_BUNDLE=str(authority.path))
        checked = stage.syncd("check", "--json", seconds=2 * DEADLINE_SECONDS, AWS_CA_BUNDLE=str(authority.path))

    assert ran.code == 1
    assert ran.job["error"]["reason"] == "certificate_untrusted"
    assert f"the certificate of {server.url.removeprefix('https://')} is not trusted" in ran.job["error"]["detail"]
    failed = [check for check in checked.job["checks"] if check["status"] == "failed"]
    assert [("not trusted" in check["detail"], "AWS_CA_BUNDLE" in check["remedy"]) for check in failed[:1]] == [
        (True, True)
    ]


def test_it_is_reported_of_the_destination_too(
    stage: Stage, authority: Authority, tmp_path: Path, now: datetime
) -> None:
    with FaultyS3(certificate=Authority(tmp_path, "other").certificate()) as server:
        server.world()
        prepared(stage, now)
        stage.job(changes={"endpoints.destination_s3": server.url})

        ran = stage.syncd("tick", "--json", seconds=DEADLINE_SECONDS, AWS_CA_BUNDLE=str(authority.path))

    assert "certificate_untrusted" in {failed["reason"] for failed in ran.job["failed"]} | {
        (ran.job["error"] or {}).get("reason")
    }


@pytest.mark.parametrize("content", ["", None])
def test_a_file_of_authorities_that_cannot_be_used_is_named(private: Stage, content: str | None) -> None:
    path = private.folder / "bundle.pem"
    if content is not None:
        path.write_text(content)

    ran = private.syncd("tick", "--json", seconds=DEADLINE_SECONDS, AWS_CA_BUNDLE=str(path))

    assert ran.code == 1
    assert ran.job["error"]["reason"] == "certificate_untrusted"
    assert f"the authorities in {path} (AWS_CA_BUNDLE" in ran.job["error"]["detail"]


def test_all_requests_go_through_the_proxy(private: Stage, authority: Authority) -> None:
    with ConnectProxy() as proxy:
        ran = private.syncd("tick", "--json", HTTPS_PROXY=proxy.url, AWS_CA_BUNDLE=str(authority.path))

    copied(private, ran)
    assert set(proxy.targets) == {f"CONNECT {private.server.url.removeprefix('https://')}"}
    # STS, the listings and the copies each have connections of their own.
    assert len(proxy.targets) >= 3


@pytest.mark.parametrize("names", [("HTTPS_PROXY", "NO_PROXY"), ("https_proxy", "no_proxy")])
def test_hosts_in_no_proxy_are_asked_directly(private: Stage, authority: Authority, names: tuple[str, str]) -> None:
    with ConnectProxy() as proxy:
        environment = {names[0]: proxy.url, names[1]: "127.0.0.1", "AWS_CA_BUNDLE": str(authority.path)}
        ran = private.syncd("tick", "--json", **environment)

    copied(private, ran)
    assert proxy.targets == []


def test_what_a_proxy_answers_is_told_and_its_password_is_not(private: Stage, authority: Authority) -> None:
    with ConnectProxy(refusal="407 Proxy Authentication Required") as proxy:
        url = proxy.url.replace("//", "//me:a-secret-word@")
        ran = private.syncd("tick", "--json", HTTPS_PROXY=url, AWS_CA_BUNDLE=str(authority.path))

    assert (ran.code, ran.job["error"]["reason"]) == (1, "connection_failed")
    assert "407 Proxy Authentication Required" in ran.job["error"]["detail"]
    assert "a-secret-word" not in ran.stdout + ran.stderr


def test_an_untrusted_server_behind_a_proxy_is_reported_as_that(
    stage: Stage, authority: Authority, tmp_path: Path, now: datetime
) -> None:
    with FaultyS3(certificate=Authority(tmp_path, "other").certificate()) as server, ConnectProxy() as proxy:
        prepared(stage, now)
        stage.job(changes={"endpoints.s3": server.url})
        environment = {"HTTPS_PROXY": proxy.url, "AWS_CA_BUNDLE": str(authority.path)}

        ran = stage.syncd("tick", "--json", seconds=DEADLINE_SECONDS, **environment)

    assert ran.job["error"]["reason"] == "certificate_untrusted"
    assert proxy.targets != []
