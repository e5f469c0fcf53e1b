"""Wrong configurations: each problem has its file, its key, what is wrong and what would be right."""

from pathlib import Path
from typing import Any

import pytest

from syncd.config.files import load
from syncd.model.errors import ConfigError, Problem

JOB: dict[str, Any] = {
    "name": '"account-b"',
    "consumer.account_id": '"222222222222"',
    "source.account_id": '"111111111111"',
    "source.bucket": '"example-trail"',
    "source.region": '"us-east-1"',
    "source.role.arn": '"arn:aws:iam::111111111111:role/Test"',
    "destination.bucket": '"example-b-logs"',
    "destination.region": '"us-east-1"',
}
QUEUE = "https://sqs.us-east-1.amazonaws.com/222222222222/syncd-tasks"
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
ACCESS_KEY = "AKIAIOSFODNN7EXAMPLE"


def job_text(*removed: str, **changed: str) -> str:
    """A right job file, with keys changed (dots as `__`) or removed; TOML takes dotted keys anywhere."""
    keys = JOB | {key.replace("__", "."): value for key, value in changed.items()}
    return "".join(f"{key} = {value}\n" for key, value in keys.items() if key not in removed)


def problems_of(folder: Path, files: dict[str, str], environ: dict[str, str] | None = None) -> list[Problem]:
    """What `load` says about these files; `file` of each problem is relative to the folder."""
    for name, text in ({"syncd.toml": ""} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    try:
        load(folder / "syncd.toml", environ or {}, strict=True)
    except ConfigError as error:
        return [each._replace(file=str(Path(each.file).relative_to(folder))) for each in error.problems]
    return []


def only(problems: list[Problem]) -> Problem:
    assert len(problems) == 1, problems
    return problems[0]


def test_a_right_job_has_no_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path, {"jobs.d/a.toml": job_text()}) == []


WRONG_VALUES = [
    ("name", '"a b"', "letters, digits, dots, hyphens or underscores"),
    ("name", '"../a"', "letters, digits, dots, hyphens or underscores"),
    ("name", "7", 'write it in quotes, such as "7"'),
    ("every", "5", 'write "5s" for seconds'),
    ("every", '"5 minutes"', '"1h30m"'),
    ("every", '"0s"', "is no duration of at least 1s"),
    ("every", "true", "write it in quotes"),
    ("cron", '"@daily"', "five fields"),
    ("cron", '"61 * * * *"', "no minute (0 to 59)"),
    ("jitter", '"5m"', "must be less than 5m"),
    ("start", '"yesterday"', '"beginning"'),
    ("start", '"begining"', 'did you mean "beginning"?'),
    ("start", '"2026-02-30"', "a day such as"),
    ("start", "2026-11-01T00:00:00Z", "a day such as"),
    ("lateness", '"-5m"', "is no duration"),
    ("listing.tail", '"3d"', ""),
    ("listing.deep_days", "0", "whole number from 1 to 366"),
    ("listing.deep_days", '"33"', "without quotes"),
    ("consumer.account_id", "222222222222", 'write it in quotes, such as "222222222222"'),
    ("consumer.account_id", '"2222-2222-2222"', "leave the dashes out"),
    ("consumer.account_id", '"22222222222"', "12 digits"),
    ("consumer.account_id", '"22222222222\uff12"', "12 digits"),
    ("consumer.profile", '""', "give a name, or leave the key out"),
    ("source.bucket", '"Example-Trail"', "lower-case letters"),
    ("source.bucket", '"ab"', "3 to 63"),
    ("source.bucket", '"-trail"', "begins and ends with a letter or a digit"),
    ("source.bucket", '"a..trail"', "two dots"),
    ("source.bucket", '"192.168.5.4"', "IP address"),
    ("source.bucket", '"xn--trail"', "may not begin with"),
    ("source.bucket", '"sthree-trail"', "may not begin with"),
    ("source.bucket", '"trail--ol-s3"', "may not end with"),
    ("source.bucket", '"arn:aws:s3:::example-trail"', "or the ARN of an access point"),
    ("source.bucket", '"arn:aws:s3::111111111111:accesspoint/m1234567890.mrap"', "or the ARN of an access point"),
    ("source.bucket", '"arn:aws:s3:eu-west-1:111111111111:accesspoint/logs"', "they must be the same"),
    ("source.bucket", '"arn:aws-cn:s3:us-east-1:111111111111:accesspoint/logs"', "another partition"),
    ("source.request_payer", '"owner"', "requester"),
    ("source.role.source_identity", '"aws:root"', "is no source identity"),
    ("source.role.source_identity", '"x"', "is no source identity"),
    ("source.role.tags", '{ "aws:x" = "1" }', "is no tag key"),
    ("source.role.tags", '{ team = "a", Team = "b" }', "are one session tag"),
    ("destination.encryption", '"SSE-S3"', '"AES256"'),
    ("destination.bucket_key", "true", 'only encryption = "aws:kms" has bucket keys'),
    ("endpoints.bucket_owner", '"off"', "only S3-compatible servers"),
    ("endpoints.bucket_owner", '"two words"', "is no owner"),
    ("endpoints.payload", '"both"', '"signed"'),
    ("source.bucket", '"trail--ol-s3"', "may not end with"),
    ("source.bucket", '"trail.mrap"', "may not end with"),
    ("source.bucket", '"trail--x-s3"', "may not end with"),
    ("source.region", '"US East"', "such as us-east-1"),
    ("source.region", '"useast1"', "no AWS region"),
    ("source.prefix", '"/trails"', 'write "trails"'),
    ("source.prefix", f'"{"p" * 201}"', "200 characters at most"),
    ("source.prefix", '"a/../b"', "folder"),
    ("source.layout", '"cloudtrial"', 'did you mean "cloudtrail"?'),
    ("source.layout", '"%d/%m/%Y/"', "%Y, %m, %d in this order"),
    ("source.layout", '"%Y/%m/"', "%Y, %m, %d in this order"),
    ("source.layout", '"{account}/%Y/%m/%d/"', "{prefix}"),
    ("source.layout", "3", "is no layout"),
    ("source.accounts", '"222222222222"', 'write ["222222222222"]'),
    ("source.accounts", "[]", "the list is empty"),
    ("source.accounts", '["222222222222", "*"]', "stands alone"),
    ("source.accounts", '["222"]', "12 digits"),
    ("source.accounts", "[222222222222]", "write it in quotes"),
    ("source.regions", '["us-gov-west-1"]', "no region beside us-east-1"),
    ("source.kinds", '["Cloudtrail-Digests"]', 'did you mean "CloudTrail-Digest"?'),
    ("source.ignore", '"AWSLogs/old/"', "no list of key prefixes or patterns"),
    ("source.ignore", '["*"]', "would leave out everything"),
    ("source.ignore", '["/AWSLogs/old/"]', 'write "AWSLogs/old/"'),
    ("source.ignore", '["AWS"]', 'name a folder under "AWSLogs/"'),
    ("source.ignore", '["AWSLogs/"]', "leaves out everything"),
    ("source.ignore", '["AWSLogs/*"]', "leaves out everything"),
    ("source.ignore", '["trails/AWSLogs/old/"]', 'is not under "AWSLogs/"'),
    ("source.ignore", "[7]", "write it in quotes"),
    ("listing.audit", "86400", 'write "86400s" for seconds'),
    ("listing.audit_sealed", '"never"', "is no duration"),
    ("source.organization_id", '"ou-ab12-exampleou"', "o- and 10 to 32"),
    ("source.role.arn", '"arn:aws:iam::111111111111:user/Test"', "only a role can be assumed"),
    ("source.role.arn", '"arn:aws:iam::111111111111:root"', "only a role can be assumed"),
    ("source.role.arn", '"arn:aws:sts::111111111111:assumed-role/Test/x"', "the role's own ARN"),
    ("source.role.arn", '"arn:aws:iam::1111:role/Test"', "arn:PARTITION:iam::ACCOUNT:role/NAME"),
    ("source.role.arn", '"Test"', "arn:PARTITION:iam::ACCOUNT:role/NAME"),
    ("source.role.arn", '"arn:aws-moon:iam::111111111111:role/Test"', "syncd knows aws, aws-cn, aws-eusc"),
    ("source.role.arn", '"arn:aws:iam::333333333333:role/Test"', "source.account_id is 111111111111"),
    ("source.role.arn", '"arn:aws-us-gov:iam::111111111111:role/Test"', "region us-east-1 is in aws"),
    ("source.role.session_name", '"s"', "2 to 64"),
    ("source.role.session_name", '"two words"', "2 to 64"),
    ("source.role.session_name", '"müller"', "2 to 64"),
    ("source.role.session_name", f'"{"s" * 65}"', "2 to 64"),
    ("source.role.external_id", '"e"', "2 to 1224"),
    ("source.role.external_id", '"a b"', "2 to 1224"),
    ("source.role.external_id", f'"{"e" * 1225}"', "2 to 1224"),
    ("source.role.duration", '"10m"', "is no duration from 15m to 12h"),
    ("source.role.duration", '"13h"', "is no duration from 15m to 12h"),
    ("source.role.third_party", '"true"', "without quotes"),
    ("destination.region", '"cn-north-1"', "no credentials hold in both"),
    ("destination.prefix", '"/replica"', 'write "replica"'),
    ("destination.bucket", '"example-trail"', "is the source too; name another bucket"),
    ("destination.copy", '"server_side"', 'did you mean "server-side"?'),
    ("destination.signer", '"me"', '"consumer"'),
    ("destination.storage_class", '"OUTPOSTS"', '"STANDARD_IA"'),
    ("destination.kms_key_id", '"my key"', "alias/NAME"),
    ("destination.kms_key_id", '"arn:aws:kms:eu-west-1:222222222222:alias/a"', "needs one in destination.region"),
    ("destination.acl", '"private"', '"bucket-owner-full-control"'),
    ("destination.tags", '{ "aws:x" = "1" }', "not aws: in front"),
    ("destination.tags", '{ x = "a;b" }', "up to 256"),
    ("destination.tags", '{ a="", b="", c="", d="", e="", f="", g="", h="", i="", j="", k="" }', "at most 10 tags"),
    ("destination.tags", '"a=b"', 'write { key = "value" }'),
    ("destination.part_size", '"4MiB"', "from 5MiB to 5GiB"),
    ("destination.multipart_above", '"6GiB"', "from 5MiB to 5GiB"),
    ("destination.multipart_above", "67108864", 'write "67108864B"'),
    ("endpoints.s3", '"127.0.0.1:5000"', '"http://127.0.0.1:5000"'),
    ("endpoints.s3", '"ftp://127.0.0.1"', "http:// or https://"),
    ("endpoints.sts", '"http://127.0.0.1:99999"', "http:// or https://"),
    ("endpoints.s3", '"http://127.0.0.1:5000/?a=b"', "without ? and #"),
    ("endpoints.path_style", "1", "true nor false"),
    ("engine.in_flight", "193", "whole number from 1 to 192"),
    ("engine.memory", '"5MiB"', "must hold one part"),
    ("engine.requests_per_second", "0", "is no number above 0"),
    ("engine.bytes_per_second", '"fast"', "is no size"),
    ("consumer", '"account-b"', "write [consumer] and its keys below"),
]


@pytest.mark.parametrize(("key", "value", "remedy"), WRONG_VALUES)
def test_a_wrong_value_is_reported_at_its_key(tmp_path: Path, key: str, value: str, remedy: str) -> None:
    removed = [each for each in JOB if each.startswith(f"{key}.")]
    text = job_text(*removed, **{key.replace(".", "__"): value})

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert problem.file == "jobs.d/a.toml"
    assert problem.key == (key if key != "listing.tail" else "listing.recent")
    assert remedy in problem.message


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("name", "the job's name"),
        ("consumer.account_id", "12 digits, in quotes"),
        ("source.bucket", "the bucket"),
        ("source.role.arn", "role ARN"),
        ("destination.region", "the bucket's region"),
    ],
)
def test_a_missing_key_is_described(tmp_path: Path, key: str, remedy: str) -> None:
    extra = {"source__role__session_name": '"syncd"'} if "role" in key else {}

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": job_text(key, **extra)}))

    assert problem.key == key
    assert problem.message.startswith("is missing: ")
    assert remedy in problem.message


@pytest.mark.parametrize(
    ("key", "remedy"),
    [
        ("evry", 'did you mean "every"?'),
        ("source.buckett", 'did you mean "bucket"?'),
        ("destination.copy_mode", "is no key"),
        ("external_id", "it belongs in [source.role]"),
        ("bucket", "it belongs in [source] or [destination]"),
        ("log.level", "it belongs in syncd.toml"),
        ("source.xyzzy", "known here: account_id, bucket, region"),
    ],
)
def test_an_unknown_key_is_told_the_right_one(tmp_path: Path, key: str, remedy: str) -> None:
    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": job_text(**{key.replace(".", "__"): '"x"'})}))

    assert problem.key == key.removesuffix(".level")
    assert remedy in problem.message


@pytest.mark.parametrize(
    ("text", "key", "remedy"),
    [
        ('log.level = "verbose"', "log.level", '"debug", "info"'),
        ('http.listen = "0.0.0.0:9464"', "http.listen", "allow_remote = true"),
        ('http.listen = "[::]:9464"', "http.listen", "allow_remote = true"),
        ('http.listen = "metrics.example.com:80"', "http.listen", "allow_remote = true"),
        ('http.listen = "9464"', "http.listen", '"127.0.0.1:9464"'),
        ('http.listen = "::1:9464"', "http.listen", '"HOST:PORT"'),
        ("engine.workers = 0", "engine.workers", "from 1 to 64"),
        ('engine.memory = "1MiB"', "engine.memory", "from 5MiB to 64GiB"),
        (f'work.tasks = "{QUEUE}"', "work.results", "is missing"),
        (f'work.dead = "{QUEUE}"', "work.tasks", "is missing"),
        (f'work = {{tasks = "{QUEUE}", results = "{QUEUE}"}}', "work.results", "is in work.tasks too"),
        ("work.task_objects = 1999", "work.task_objects", "from 2000"),
        ('heartbeat_url = "beat"', "heartbeat_url", "http:// or https://"),
        ("drain = 15", "drain", 'write "15s"'),
        ('every = "5m"', "every", "a job file, or in [defaults]"),
        ('jobs = "jobs.d/*.toml"', "jobs", "in [ ]"),
        ('jobs = ["jobs.d/*.toml", "more/*.toml"]', "jobs", "matches no file"),
        ('defaults = "none"', "defaults", "is no table"),
        ('defaults.evry = "5m"', "defaults.evry", 'did you mean "every"?'),
        ("defaults.every = 5", "defaults.every", 'write "5s"'),
        ('state_dir = ""', "state_dir", "is no path"),
    ],
)
def test_a_problem_of_syncd_toml_is_reported_there(tmp_path: Path, text: str, key: str, remedy: str) -> None:
    problem = only(problems_of(tmp_path, {"syncd.toml": text, "jobs.d/a.toml": job_text()}))

    assert (problem.file, problem.key) == ("syncd.toml", key)
    assert remedy in problem.message


def test_a_third_party_needs_an_external_id(tmp_path: Path) -> None:
    text = job_text(source__role__third_party="true")

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert problem.key == "source.role.external_id"
    assert "third_party = true requires it" in problem.message


def test_every_and_cron_exclude_each_other(tmp_path: Path) -> None:
    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": job_text(every='"5m"', cron='"0 3 * * *"')}))

    assert problem.key == "cron"
    assert "remove one of them" in problem.message


@pytest.mark.parametrize("key", ["accounts", "regions", "kinds", "organization_id"])
def test_a_flat_layout_is_not_narrowed(tmp_path: Path, key: str) -> None:
    value = {"accounts": '["222222222222"]', "regions": '["us-east-1"]', "kinds": '["CloudTrail"]'}
    text = job_text(source__layout='"flat"', **{f"source__{key}": value.get(key, '"o-exampleorgid"')})

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert problem.key == f"source.{key}"
    assert 'layout = "cloudtrail"' in problem.message


def test_a_flat_prefix_may_be_any_part_of_a_key(tmp_path: Path) -> None:
    text = job_text(source__layout='"flat"', source__prefix='"AWSLogs/111111111111/vpcflowlogs/"')

    assert problems_of(tmp_path, {"jobs.d/a.toml": text}) == []


def test_two_jobs_may_not_have_one_name(tmp_path: Path) -> None:
    files = {"jobs.d/a.toml": job_text(), "jobs.d/b.toml": job_text(destination__prefix='"b/"')}

    problem = only(problems_of(tmp_path, files))

    assert (problem.file, problem.key) == ("jobs.d/b.toml", "name")
    assert "a.toml" in problem.message


def test_two_jobs_may_not_write_to_one_prefix(tmp_path: Path) -> None:
    files = {"jobs.d/a.toml": job_text(), "jobs.d/b.toml": job_text(name='"b"')}

    problem = only(problems_of(tmp_path, files))

    assert (problem.file, problem.key) == ("jobs.d/b.toml", "destination.prefix")
    assert "give each job its own prefix" in problem.message


def test_one_server_by_two_names_is_one_destination(tmp_path: Path) -> None:
    files = {
        "jobs.d/a.toml": job_text(endpoints__s3='"http://127.0.0.1:80"'),
        "jobs.d/b.toml": job_text(name='"b"', endpoints__s3='"http://localhost/"'),
    }

    assert only(problems_of(tmp_path, files)).key == "destination.prefix"


def test_one_part_must_fit_into_the_memory_of_all_jobs(tmp_path: Path) -> None:
    files = {"syncd.toml": 'engine.memory = "5MiB"', "jobs.d/a.toml": job_text()}

    problem = only(problems_of(tmp_path, files))

    assert (problem.file, problem.key) == ("jobs.d/a.toml", "destination.part_size")
    assert "engine.memory of syncd.toml; set 5MiB or less" in problem.message


def test_a_part_is_no_larger_than_what_is_written_as_one(tmp_path: Path) -> None:
    job = job_text(destination__multipart_above='"5MiB"', destination__part_size='"6MiB"')

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": job}))

    assert (problem.key, "set it to 5MiB or less" in problem.message) == ("destination.part_size", True)


@pytest.mark.parametrize(
    "key",
    [
        "consumer.aws_secret_access_key",
        "consumer.secret_key",
        "consumer.password",
        "source.session-token",
        "consumer.AWS_ACCESS_KEY_ID",
        "destination.tags.password",
    ],
)
def test_a_key_for_a_secret_is_refused_without_repeating_it(tmp_path: Path, key: str) -> None:
    text = job_text(**{key.replace(".", "__"): f'"{SECRET}"'})

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert problem.key == key
    assert "profile or a credentials_file" in problem.message
    assert SECRET not in str(problem)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("consumer.profile", f'"{ACCESS_KEY}"'),
        ("consumer.profile", f'"key {ACCESS_KEY.replace("AKIA", "ASIA")}"'),
        ("source.bucket", f'"{ACCESS_KEY}"'),
        ("source.accounts", f'["{ACCESS_KEY}"]'),
        ("consumer.key", f'"{ACCESS_KEY}"'),
        ("consumer.keys", f'[{{ id = "{ACCESS_KEY}" }}]'),
    ],
)
def test_an_access_key_id_is_refused_wherever_it_stands(tmp_path: Path, key: str, value: str) -> None:
    text = job_text(**{key.replace(".", "__"): value})

    problem = problems_of(tmp_path, {"jobs.d/a.toml": text})[0]

    assert problem.key.startswith(key)
    assert "profile or a credentials_file" in problem.message
    assert ACCESS_KEY[4:] not in str(problem)


@pytest.mark.parametrize("key", ["source.bucket", "consumer.account_id", "destination.copy", "every", "name", "xyzzy"])
def test_what_looks_like_a_secret_is_not_repeated(tmp_path: Path, key: str) -> None:
    text = job_text(**{key.replace(".", "__"): f'"{SECRET}"'})

    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert SECRET not in str(problem)


def test_a_secret_in_syncd_toml_is_refused_too(tmp_path: Path) -> None:
    files = {"syncd.toml": f'[defaults.consumer]\nsecret_access_key = "{SECRET}"', "jobs.d/a.toml": job_text()}

    problem = only(problems_of(tmp_path, files))

    assert (problem.file, problem.key) == ("syncd.toml", "defaults.consumer.secret_access_key")


@pytest.mark.parametrize("url", ["http://user:geheim@127.0.0.1:5000", "https://geheim@example.com"])
def test_a_url_may_hold_no_user_or_password(tmp_path: Path, url: str) -> None:
    text = job_text(endpoints__s3=f'"{url}"')

    problem = only(problems_of(tmp_path, {"syncd.toml": "", "jobs.d/a.toml": text}))

    assert problem.key == "endpoints.s3"
    assert "remove what stands before the @" in problem.message
    assert "geheim" not in str(problem)


def test_a_heartbeat_url_is_not_repeated(tmp_path: Path) -> None:
    files = {"syncd.toml": 'heartbeat_url = "hc.example.com/geheim"', "jobs.d/a.toml": job_text()}

    assert "geheim" not in str(only(problems_of(tmp_path, files)))


def test_a_heartbeat_url_has_no_other_placeholder_than_the_job(tmp_path: Path) -> None:
    wrong = job_text(heartbeat_url='"https://hc.example.com/{name}"')
    right = job_text(heartbeat_url='"https://hc.example.com/{job}"')

    assert "{job}" in only(problems_of(tmp_path, {"syncd.toml": "", "jobs.d/a.toml": wrong})).message
    assert not problems_of(tmp_path, {"syncd.toml": "", "jobs.d/a.toml": right})


def test_all_problems_of_all_files_are_reported_at_once(tmp_path: Path) -> None:
    files = {
        "syncd.toml": '[log]\nlevel = "loud"\n[defaults]\njitter = 5\n',
        "jobs.d/a.toml": job_text(
            source__account_id='"1111"', source__role__third_party="true", destination__multipart_above='"5MiB"'
        ),
        "jobs.d/b.toml": job_text("destination.bucket", consumer__account_id="222222222222", evry='"5m"'),
        "jobs.d/c.toml": "name = \n",
    }

    problems = problems_of(tmp_path, files)

    assert [(each.file, each.key) for each in problems] == [
        ("syncd.toml", "log.level"),
        ("syncd.toml", "defaults.jitter"),
        ("jobs.d/a.toml", "source.account_id"),
        ("jobs.d/a.toml", "source.role.external_id"),
        ("jobs.d/a.toml", "destination.part_size"),
        ("jobs.d/b.toml", "evry"),
        ("jobs.d/b.toml", "consumer.account_id"),
        ("jobs.d/b.toml", "destination.bucket"),
        ("jobs.d/b.toml", "name"),
        ("jobs.d/c.toml", ""),
    ]


def test_jobs_that_cannot_be_read_whole_are_compared_all_the_same(tmp_path: Path) -> None:
    files = {
        "jobs.d/a.toml": job_text(source__bucket='"A"'),
        "jobs.d/b.toml": job_text(source__bucket='"B"', source__account_id='"111111111112"'),
    }

    problems = problems_of(tmp_path, files)

    assert ("jobs.d/b.toml", "destination.prefix") in [(each.file, each.key) for each in problems]
    assert ("jobs.d/b.toml", "source.role.arn") in [(each.file, each.key) for each in problems]


def test_no_message_speaks_of_the_library_that_checks(tmp_path: Path) -> None:
    numbers = "".join(f"{key} = 7.5\n" for key in ["name", "every", "source", "endpoints.s3", "engine.memory"])
    tables = "".join(f"{key}.x = 1\n" for key in ["name", "every", "source.bucket", "endpoints.path_style"])

    problems = problems_of(tmp_path, {"jobs.d/a.toml": numbers, "jobs.d/b.toml": tables})

    said = " ".join(each.message for each in problems).lower()
    assert [word for word in ("input", "pydantic", "validation", "error", "none", "dict", "str)") if word in said] == []


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("name = \n", "line 1, column 8"),
        ("a = 1\nconsumer.account_id = 012345678901\n", "account IDs stand in quotes"),
        ("name = 'a'\nname = 'b'\n", "line 2"),
        ("[consumer\n", "line 1"),
        ("a = " + "[" * 5000, "not valid TOML"),
    ],
)
def test_a_file_that_is_no_toml_is_told_the_place(tmp_path: Path, text: str, remedy: str) -> None:
    problem = only(problems_of(tmp_path, {"jobs.d/a.toml": text}))

    assert (problem.file, problem.key) == ("jobs.d/a.toml", "")
    assert remedy in problem.message
