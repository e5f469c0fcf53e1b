"""Where a bucket is reached: AWS's own addresses, the environment's, and those of other servers."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.regions import EndpointResolver

from syncd.aws import addresses
from syncd.aws.addresses import bucket_address
from syncd.aws.identity.boto import Endpoints, own_session
from syncd.aws.s3 import Address

BUCKET = "example-trail"


def address(
    bucket: str = BUCKET, region: str = "us-east-1", *, endpoint: str | None = None, path_style: bool = False
) -> str:
    """The whole of it as a URL."""
    session = botocore.session.Session()
    found = bucket_address(bucket, region, endpoint=endpoint, path_style=path_style, session=session)
    assert found.region == region
    return url_of(found)


def url_of(found: Address) -> str:
    return f"{found.scheme}://{found.host}{found.base_path}"


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us-east-1", "https://example-trail.s3.us-east-1.amazonaws.com"),
        ("eu-west-3", "https://example-trail.s3.eu-west-3.amazonaws.com"),
        ("us-gov-west-1", "https://example-trail.s3.us-gov-west-1.amazonaws.com"),
        ("cn-north-1", "https://example-trail.s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_a_bucket_has_a_host_of_its_own_in_its_region_and_partition(region: str, url: str) -> None:
    assert address(region=region) == url


def test_a_bucket_with_dots_is_in_the_path_since_no_certificate_covers_its_host() -> None:
    assert address("logs.example.com", "eu-west-1") == "https://s3.eu-west-1.amazonaws.com/logs.example.com"


@pytest.mark.parametrize(
    ("environment", "url"),
    [
        ({"AWS_USE_FIPS_ENDPOINT": "true"}, "https://example-trail.s3-fips.us-east-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL": "http://minio:9000"}, "http://minio:9000/example-trail"),
        ({"AWS_USE_DUALSTACK_ENDPOINT": "true"}, "https://example-trail.s3.dualstack.us-east-1.amazonaws.com"),
        ({"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:5000"}, "http://127.0.0.1:5000/example-trail"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:5000/"}, "http://127.0.0.1:5000/example-trail"),
        (
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_S3": "https://127.0.0.1:5000"},
            "https://127.0.0.1:5000/example-trail",
        ),
    ],
)
def test_the_standard_variables_hold(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str], url: str) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert address() == url


def test_a_region_has_its_own_fips_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")

    assert address(region="us-east-2") == "https://example-trail.s3-fips.us-east-2.amazonaws.com"


def test_an_explicit_endpoint_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:5000")
    monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")

    assert address(endpoint="http://127.0.0.1:6000") == "http://127.0.0.1:6000/example-trail"


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000/example-trail"),
        ("http://[::1]:9000", "http://[::1]:9000/example-trail"),
        ("https://10.0.0.1", "https://10.0.0.1/example-trail"),
        ("http://127.0.0.1:9000/", "http://127.0.0.1:9000/example-trail"),
        ("http://127.0.0.1:9000/s3/", "http://127.0.0.1:9000/s3/example-trail"),
        ("https://s3.example.com", "https://example-trail.s3.example.com"),
        ("https://s3.example.com:8443/store", "https://example-trail.s3.example.com:8443/store"),
    ],
)
def test_an_address_of_numbers_has_its_buckets_in_the_path_and_a_name_in_the_host(endpoint: str, url: str) -> None:
    assert address(endpoint=endpoint) == url


def test_a_named_server_may_have_its_buckets_in_the_path() -> None:
    assert address(endpoint="http://minio:9000", path_style=True) == "http://minio:9000/example-trail"


def test_a_bucket_with_dots_is_in_the_path_of_a_named_server_too() -> None:
    assert address("a.b", endpoint="https://s3.example.com") == "https://s3.example.com/a.b"


@pytest.mark.parametrize("region", ["us-east-1", "ap-southeast-5", "cn-northwest-1", "us-iso-east-1", "eusc-de-east-1"])
def test_the_plain_address_is_the_one_that_botocore_chooses(region: str) -> None:
    session = botocore.session.Session()

    assert addresses._plain_suffix(BUCKET, region, session) is not None
    assert address(region=region) == url_of(addresses._as_botocore_has_it(BUCKET, region, session))


@pytest.mark.parametrize(
    ("bucket", "region", "settings"),
    [
        ("logs.example.com", "eu-west-1", ""),
        ("finance-alias-hrzrlukc5m36ft7okagglf3gmwluquse1b-s3alias", "eu-west-1", ""),
        ("example--use1-az4--x-s3", "us-east-1", ""),
        (BUCKET, "xx-nowhere-1", ""),
        (BUCKET, "eu-west-1", "s3 =\n  addressing_style = path\n"),
        (BUCKET, "eu-west-1", "use_fips_endpoint = true\n"),
        (BUCKET, "eu-west-1", "endpoint_url = http://127.0.0.1:1\n"),
        (BUCKET, "eu-west-1", "services = mine\n"),
    ],
)
def test_any_other_address_is_left_to_botocore(
    bucket: str, region: str, settings: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "config").write_text(f"[default]\n{settings}")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

    assert addresses._plain_suffix(bucket, region, botocore.session.Session()) is None


def test_sts_is_where_botocores_list_has_it_without_that_being_read() -> None:
    listed: Any = botocore.session.Session().get_component("data_loader").load_data("endpoints")
    whole, knowing = EndpointResolver(listed), Endpoints(lambda: listed)
    regions = [region for partition in listed["partitions"] for region in partition["regions"]]

    for region in regions:
        found = whole.construct_endpoint("sts", region)
        assert Endpoints(_no_list).construct_endpoint("sts", region).items() <= found.items()
    for service, region, more in (
        ("s3", "us-east-1", {}),
        ("sts", "us-east-1", {"use_fips_endpoint": True}),
        ("sts", "aws-global", {}),
        ("sts", "nowhere", {}),
    ):
        found = whole.construct_endpoint(service, region, **more)
        assert knowing.construct_endpoint(service, region, **more) == found
    assert knowing.get_available_partitions() == whole.get_available_partitions()


def test_a_list_of_services_of_the_users_own_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {"hostname": "{service}.{region}.{dnsSuffix}", "protocols": ["https"], "signatureVersions": ["v4"]}
    partition = {"partition": "lab", "dnsSuffix": "example.net", "defaults": defaults, "regions": {"us-east-1": {}}}
    (tmp_path / "endpoints.json").write_text(json.dumps({"partitions": [partition | {"services": {}}]}))
    monkeypatch.setenv("AWS_DATA_PATH", str(tmp_path))

    assert (
        own_session().create_client("sts", region_name="us-east-1").meta.endpoint_url
        == "https://sts.us-east-1.example.net"
    )


def _no_list() -> None:
    raise AssertionError
