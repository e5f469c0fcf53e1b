"""Which files are read, and how their keys come together."""

from datetime import timedelta
from pathlib import Path

import pytest

from syncd.config.files import find, load
from syncd.config.words import as_written
from syncd.model.errors import ConfigError

CONSUMER = '[consumer]\naccount_id = "222222222222"\n'
SOURCE = '[source]\naccount_id = "111111111111"\nbucket = "example-trail"\nregion = "us-east-1"\n'


def job_text(name: str, *, top: str = "", consumer: str = "", source: str = SOURCE) -> str:
    destination = f'[destination]\nbucket = "example-{name}-logs"\nregion = "us-east-1"\n'
    return f'name = "{name}"\n{top}\n{CONSUMER}{consumer}\n{source}\n{destination}'


def write(folder: Path, files: dict[str, str]) -> Path:
    for name, text in ({"syncd.toml": ""} | files).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder / "syncd.toml"


@pytest.mark.parametrize(
    ("option", "environ", "found"),
    [
        (Path("mine.toml"), {"SYNCD_CONFIG": "/theirs.toml"}, "mine.toml"),
        (None, {"SYNCD_CONFIG": "/theirs.toml"}, "/theirs.toml"),
        (None, {"SYNCD_CONFIG": ""}, "/etc/syncd/syncd.toml"),
        (None, {}, "/etc/syncd/syncd.toml"),
    ],
)
def test_the_option_wins_over_the_variable_and_that_over_the_default(
    option: Path | None, environ: dict[str, str], found: str
) -> None:
    assert find(option, environ) == Path(found)


def test_jobs_are_in_the_order_of_their_file_names(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "syncd.toml": 'jobs = ["z/*.toml", "a/*.toml"]',
            "z/10.toml": job_text("first"),
            "a/20.toml": job_text("second"),
            "z/30.toml": job_text("third"),
        },
    )

    configuration = load(path, {})

    assert [job.name for job in configuration.jobs] == ["first", "second", "third"]
    assert configuration.files == (path, *(tmp_path / name for name in ("z/10.toml", "a/20.toml", "z/30.toml")))


def test_a_job_file_that_two_patterns_match_is_read_once(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": 'jobs = ["*.toml", "b.*"]', "b.toml": job_text("b")})

    assert [job.name for job in load(path, {}).jobs] == ["b"]


def test_a_pattern_may_be_absolute(tmp_path: Path) -> None:
    path = write(tmp_path / "etc", {"syncd.toml": f'jobs = ["{tmp_path}/jobs/*.toml"]'})
    write(tmp_path / "jobs", {"syncd.toml": job_text("b")})

    assert [job.name for job in load(path, {}).jobs] == ["b"]


def test_the_folders_own_name_is_no_pattern(tmp_path: Path) -> None:
    path = write(tmp_path / "[b]", {"jobs.d/b.toml": job_text("b")})

    assert [job.name for job in load(path, {}).jobs] == ["b"]


def test_an_empty_list_is_no_job_at_all(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": "jobs = []"})

    assert load(path, {}).jobs == ()


def test_a_pattern_that_matches_nothing_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, {})

    with pytest.raises(ConfigError, match="jobs = \\[\\] for none") as caught:
        load(path, {})

    assert [(each.file, each.key) for each in caught.value.problems] == [(str(path), "jobs")]


def test_a_missing_file_is_told_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file; name one with --config"):
        load(tmp_path / "syncd.toml", {})


def test_a_folder_in_place_of_a_file_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load(tmp_path, {})


def test_a_job_file_that_leads_nowhere_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs.d/a.toml": job_text("a")})
    (tmp_path / "jobs.d/b.toml").symlink_to("gone.toml")

    with pytest.raises(ConfigError, match=r"b\.toml: there is no such file"):
        load(path, {}, strict=True)


def test_a_file_in_another_encoding_is_a_problem(tmp_path: Path) -> None:
    path = write(tmp_path, {})
    path.write_bytes(b"# caf\xe9\n")

    with pytest.raises(ConfigError, match="save it as UTF-8"):
        load(path, {})


def test_a_byte_order_mark_does_no_harm(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": "\ufeffjobs = []"})

    assert load(path, {}).jobs == ()


def test_defaults_hold_where_a_job_says_nothing(tmp_path: Path) -> None:
    defaults = '[defaults]\nevery = "1h"\n[defaults.source]\naccount_id = "111111111111"\nbucket = "example-trail"\n'
    own = '[source]\nregion = "eu-west-1"\nbucket = "another-trail"\n'
    path = write(tmp_path, {"syncd.toml": defaults, "jobs.d/b.toml": job_text("b", source=own)})

    (job,) = load(path, {}).jobs

    assert job.every == timedelta(hours=1)
    assert (job.source.account_id, job.source.bucket, job.source.region) == (
        "111111111111",
        "another-trail",
        "eu-west-1",
    )


@pytest.mark.parametrize(
    ("default", "own", "schedule"),
    [
        ('every = "1h"', 'cron = "0 3 * * *"', (None, "0 3 * * *")),
        ('cron = "0 3 * * *"', 'every = "1m"', (timedelta(minutes=1), None)),
        ('cron = "0 3 * * *"', "", (None, "0 3 * * *")),
    ],
)
def test_a_jobs_own_schedule_replaces_the_default_one(
    tmp_path: Path, default: str, own: str, schedule: tuple[timedelta | None, str | None]
) -> None:
    path = write(tmp_path, {"syncd.toml": f"[defaults]\n{default}", "jobs.d/b.toml": job_text("b", top=own)})

    (job,) = load(path, {}).jobs

    assert (job.every, job.cron) == schedule


def test_a_problem_between_a_job_and_a_default_is_reported_where_the_key_stands(tmp_path: Path) -> None:
    path = write(
        tmp_path, {"syncd.toml": '[defaults]\njitter = "1h"', "jobs.d/b.toml": job_text("b", top='every = "5m"')}
    )

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert [(each.file, each.key) for each in caught.value.problems] == [(str(path), "defaults.jitter")]


def test_a_wrong_default_is_reported_once_for_all_jobs(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "syncd.toml": '[defaults.listing]\ntail = "1 hour"',
            "jobs.d/a.toml": job_text("a"),
            "jobs.d/b.toml": job_text("b"),
        },
    )

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert [each.key for each in caught.value.problems] == ["defaults.listing.tail"]


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("/etc/syncd/b", "/etc/syncd/b"),
        ("${CREDENTIALS_DIRECTORY}/b", "/run/credentials/b"),
        ("~/b", "/home/syncd/b"),
        ("b.credentials", "{folder}/jobs.d/b.credentials"),
    ],
)
def test_the_path_of_a_credentials_file_is_expanded(tmp_path: Path, text: str, expanded: str) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": job_text("b", consumer=f'credentials_file = "{text}"')})
    environ = {"CREDENTIALS_DIRECTORY": "/run/credentials", "HOME": "/home/syncd"}

    (job,) = load(path, environ).jobs

    assert job.consumer.credentials_file == Path(expanded.format(folder=tmp_path))


def test_the_state_directory_is_expanded(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": 'state_dir = "${STATE_DIRECTORY}/one"\njobs = []'})

    assert load(path, {"STATE_DIRECTORY": "/var/lib/x"}).settings.state_dir == Path("/var/lib/x/one")


def test_a_variable_that_is_not_set_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": job_text("b", consumer='credentials_file = "${SYNCD_GONE}/b"')})

    with pytest.raises(ConfigError, match=r"\$\{SYNCD_GONE\}, which is not set") as caught:
        load(path, {})

    assert [each.key for each in caught.value.problems] == ["consumer.credentials_file"]


def test_an_unset_variable_in_the_defaults_is_reported_there_alone(tmp_path: Path) -> None:
    defaults = '[defaults.consumer]\ncredentials_file = "${SYNCD_GONE}/b"'
    path = write(tmp_path, {"syncd.toml": defaults, "jobs.d/a.toml": job_text("a"), "jobs.d/b.toml": job_text("b")})

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert [(each.file, each.key) for each in caught.value.problems] == [
        (str(path), "defaults.consumer.credentials_file")
    ]


@pytest.mark.parametrize("name", ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PATH", "HOME_", "XDG_", "a b", ""])
def test_a_variable_that_may_hold_a_secret_is_not_expanded(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": job_text("b", consumer=f"credentials_file = '/x/${{{name}}}'")})

    with pytest.raises(ConfigError, match="which is not expanded; a path may name CREDENTIALS_DIRECTORY") as caught:
        load(path, {name: "geheim"})

    assert [each.key for each in caught.value.problems] == ["consumer.credentials_file"]
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize("name", ["RUNTIME_DIRECTORY", "HOME", "XDG_CONFIG_HOME", "SYNCD_KEYS"])
def test_a_path_with_a_variable_is_shown_as_it_was_written(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": job_text("b", consumer=f'credentials_file = "${{{name}}}/b"')})

    (job,) = load(path, {name: "/run/geheim"}).jobs

    assert str(job.consumer.credentials_file) == "/run/geheim/b"
    assert job.consumer.credentials_file is not None
    assert as_written(job.consumer.credentials_file) == f"${{{name}}}/b"


BROKEN = {
    "no TOML": "name = 'b'\n[source\n",
    "a wrong key": job_text("b", top="evry = 1"),
    "a wrong value": job_text("b", source=SOURCE.replace("example-trail", "Example")),
    "a secret": job_text("b", consumer='secret_access_key = "x"'),
    "a name that is none": job_text("b/c"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_cannot_be_used_refuses_its_job_and_no_other(tmp_path: Path, what: str) -> None:
    path = write(tmp_path, {"jobs.d/a.toml": job_text("a"), "jobs.d/b.toml": BROKEN[what]})

    found = load(path, {})

    (refused,) = found.refused
    assert [job.name for job in found.jobs] == ["a"]
    assert found.files == (path, tmp_path / "jobs.d/a.toml")
    assert refused.file == tmp_path / "jobs.d/b.toml"
    assert refused.label == (str(refused.file) if what == "a name that is none" else "b")
    assert refused.error.reason == "configuration_refused"
    assert str(refused.file) in refused.error.detail


def test_a_folder_that_is_called_like_a_file_is_refused_and_not_passed_over(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": 'jobs = ["**/*"]', "jobs.d/a.toml": job_text("a")})
    (tmp_path / "jobs.d/b.toml").mkdir()

    (refused,) = load(path, {}).refused

    assert refused.label == str(tmp_path / "jobs.d/b.toml")
    assert "Is a directory" in refused.error.detail


@pytest.mark.parametrize("what", BROKEN)
def test_strictly_one_such_file_refuses_all_jobs(tmp_path: Path, what: str) -> None:
    path = write(tmp_path, {"jobs.d/a.toml": job_text("a"), "jobs.d/b.toml": BROKEN[what]})

    with pytest.raises(ConfigError) as caught:
        load(path, {}, strict=True)

    assert {each.file for each in caught.value.problems} == {str(tmp_path / "jobs.d/b.toml")}


def test_syncd_toml_that_cannot_be_used_refuses_all_jobs(tmp_path: Path) -> None:
    path = write(tmp_path, {"syncd.toml": "drain = 5", "jobs.d/a.toml": job_text("a"), "jobs.d/b.toml": "broken ="})

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert [Path(each.file).name for each in caught.value.problems] == ["syncd.toml", "b.toml"]


def test_what_does_not_go_with_the_defaults_refuses_the_job_that_says_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        {
            "syncd.toml": '[defaults]\njitter = "1m"',
            "jobs.d/a.toml": job_text("a"),
            "jobs.d/b.toml": job_text("b", top='every = "10s"'),
        },
    )

    found = load(path, {})

    assert ([job.name for job in found.jobs], [job.label for job in found.refused]) == (["a"], ["b"])


@pytest.mark.parametrize("other", ["0.toml", "z.toml"])
def test_of_two_jobs_of_one_name_the_one_whose_file_is_called_after_it_stays(tmp_path: Path, other: str) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": job_text("b"), f"jobs.d/{other}": job_text("b")})

    found = load(path, {})

    (refused,) = found.refused
    assert found.files[1:] == (tmp_path / "jobs.d/b.toml",)
    assert refused.label == str(tmp_path / "jobs.d" / other)
    assert "is the name of the job in" in refused.error.detail


def test_a_job_is_not_refused_for_what_it_has_in_common_with_one_that_is(tmp_path: Path) -> None:
    broken = job_text("a", top="evry = 1")
    path = write(
        tmp_path, {"jobs.d/a.toml": broken, "jobs.d/b.toml": job_text("a").replace('name = "a"', 'name = "b"')}
    )

    found = load(path, {})

    assert ([job.name for job in found.jobs], [job.label for job in found.refused]) == (["b"], ["a"])


def test_many_unknown_keys_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": "".join(f"k{number} = 1\n" for number in range(5000)) + job_text("b")})

    with pytest.raises(ConfigError, match="has 4980 more keys that are none of syncd's"):
        load(path, {})


def test_a_key_that_is_none_is_shown_so_that_it_can_do_nothing(tmp_path: Path) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": '"a\\u001b[31m\\nb" = 1\n' + job_text("b")})

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert '"a\\u001b[31m\\nb": is no key' in str(caught.value)


ROLE = '[source.role]\narn = "arn:aws:iam::{0}:role/x"\nexternal_id = "customer-1"\nthird_party = {1}\n'


@pytest.mark.parametrize(
    ("accounts", "third_party", "is_refused"),
    [
        (("111111111111", "111111111112"), "true", True),
        (("111111111111", "111111111111"), "true", False),
        (("111111111111", "111111111112"), "false", False),
    ],
)
def test_one_external_id_for_two_customers_refuses_the_second(
    tmp_path: Path, accounts: tuple[str, str], third_party: str, *, is_refused: bool
) -> None:
    files = {
        f"jobs.d/{name}.toml": job_text(
            name, source=SOURCE.replace("111111111111", account) + ROLE.format(account, third_party)
        )
        for name, account in zip("ab", accounts, strict=True)
    }

    found = load(write(tmp_path, files), {})

    assert [job.label for job in found.refused] == (["b"] if is_refused else [])
    for refused in found.refused:
        assert refused.problems[0].key == "source.role.external_id"
        assert "customer-1" not in refused.error.detail


@pytest.mark.parametrize(
    ("endpoints", "key"),
    [
        ('s3 = "http://minio.example.com:9000"', "endpoints.s3"),
        ('sts = "http://10.0.0.1"', "endpoints.sts"),
        ('destination_s3 = "http://[fd00::1]:9000"', "endpoints.destination_s3"),
        ('cloudtrail = "http://example.com"', "endpoints.cloudtrail"),
        ('s3 = "http://127.0.0.1.example.com"', "endpoints.s3"),
        ('s3 = "http://minio.example.com:9000"\nallow_http = true', None),
        ('s3 = "https://minio.example.com:9000"', None),
        ('s3 = "http://127.0.0.1:9000"\nsts = "http://localhost:1"\ndestination_s3 = "http://[::1]:2"', None),
    ],
)
def test_plain_http_beyond_this_machine_has_to_be_allowed(tmp_path: Path, endpoints: str, key: str | None) -> None:
    path = write(tmp_path, {"jobs.d/b.toml": f"{job_text('b')}\n[endpoints]\n{endpoints}\n"})

    try:
        load(path, {})
        problems = []
    except ConfigError as error:
        problems = [each.key for each in error.problems]

    assert problems == ([key] if key else [])


def test_tags_come_from_the_job_or_from_the_source(tmp_path: Path) -> None:
    text = job_text("b") + 'copy_tags = true\ntags = { a = "b" }\n'

    with pytest.raises(ConfigError, match="tags and copy_tags exclude each other"):
        load(write(tmp_path, {"jobs.d/b.toml": text}), {})
