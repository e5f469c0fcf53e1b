"""One contract of leases, against two servers that know conditional writes."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from servers import MakeClient, S3Server

from syncd.aws.leases import Lease, LeaseStore
from syncd.check.result import Status
from syncd.check.shared import shared_checks
from syncd.config import files
from syncd.model.errors import JobFailed
from syncd.model.reasons import Reason

THREADS = 8


@pytest.fixture(params=["ministack", "seaweed"])
def url(request: pytest.FixtureRequest, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder in an empty bucket, which the default chain reaches."""
    server = request.getfixturevalue(request.param)
    assert isinstance(server, S3Server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", server.access_key_id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", server.secret_access_key)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server.url)
    bucket = server.fresh_bucket_name()
    client = make_client(server.url, access_key_id=server.access_key_id, secret_access_key=server.secret_access_key)
    client.create_bucket(Bucket=bucket)
    return f"s3://{bucket}/fleet/"


def test_of_many_who_write_at_once_one_wins(url: str) -> None:
    store = LeaseStore(url, seconds=10.0)
    before = store.read("0")
    assert before is None
    with ThreadPoolExecutor(THREADS) as threads:
        for generation in range(1, 6):
            etag = before.etag if before is not None else ""

            def take(owner: int, generation: int = generation, etag: str = etag) -> Lease | None:
                return store.write("0", Lease(str(owner), generation, etag))

            won = [lease for lease in threads.map(take, range(THREADS)) if lease is not None]
            before = store.read("0")

            assert won == [before]


def test_a_lease_is_renewed_by_its_holder_alone_and_given_back(url: str) -> None:
    store = LeaseStore(url, seconds=10.0)
    taken = store.write("7", Lease("one", 1))
    assert taken is not None

    renewed = store.write("7", taken)
    assert renewed is not None
    assert renewed.etag != taken.etag, "a renewal that nobody sees"
    seen = store.read("7")
    assert seen == renewed
    assert store.write("7", taken) is None, "it was renewed since"
    assert store.write("7", Lease("two", 2)) is None
    assert store.write("7", Lease("two", 2, '"0123456789abcdef0123456789abcdef"')) is None
    given_back = store.write("7", renewed._replace(owner=""))
    assert given_back is not None
    assert given_back.owner == ""


def test_check_tries_the_conditions_for_real(url: str, tmp_path: Path) -> None:
    (tmp_path / "syncd.toml").write_text(f'state_dir = "state"\njobs = []\n[fleet]\nlease = "{url}"\n')
    configuration = files.load(tmp_path / "syncd.toml")

    found = [shared_checks(configuration) for _ in range(2)]

    assert [[check.status for check in checks] for checks in found] == [[Status.OK], [Status.OK]]


def test_a_bucket_that_is_not_there_is_named(url: str) -> None:
    bucket = url.removeprefix("s3://").partition("/")[0]

    with pytest.raises(JobFailed) as failure:
        LeaseStore(url.replace(bucket, f"x{bucket[1:]}"), seconds=10.0).read("0")

    assert failure.value.reason == Reason.NO_BUCKET
