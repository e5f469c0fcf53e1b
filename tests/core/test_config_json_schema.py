"""The JSON Schema for editors: it takes what syncd takes, and marks mistakes in single keys."""

import json
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from syncd.config.job import json_schema, schema_rows

PROJECT = Path(__file__).parents[2]
EXAMPLES = PROJECT / "config"
SCHEMAS = {file: json_schema(is_job=file == "job") for file in ("syncd.toml", "job")}


def with_every_key(text: str) -> str:
    """The text with its commented-out keys switched on."""
    return re.sub(r"^#(?=[a-z0-9_]+ = |\[)", "", text, flags=re.MULTILINE)


def examples() -> Iterator[tuple[str, str, str]]:
    """Where, which of the two files, and its text: every configuration in config/, in the README and in deploy/."""
    for path in [EXAMPLES / "syncd.toml", *sorted((EXAMPLES / "jobs.d").glob("*.toml"))]:
        file = "syncd.toml" if path.name == "syncd.toml" else "job"
        yield path.name, file, path.read_text()
        yield f"{path.name} with every key", file, with_every_key(path.read_text())
    for page in [PROJECT / "README.md", *(PROJECT / "docs").rglob("*.md"), *(PROJECT / "deploy").rglob("*.md")]:
        for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)):
            yield f"{page.name} {number}", "job" if "[destination]" in block else "syncd.toml", block
    config_map = yaml.safe_load((PROJECT / "deploy/kubernetes/configmap.yaml").read_text())
    for name, text in config_map["data"].items():
        yield f"configmap {name}", "syncd.toml" if name == "syncd.toml" else "job", text


def errors(file: str, text: str) -> list[str]:
    """Where the schema finds errors: dotted keys."""
    document = json.loads(json.dumps(tomllib.loads(text), default=str))  # a TOML date is a text for editors
    found = Draft202012Validator(SCHEMAS[file]).iter_errors(document)
    return sorted({".".join(str(part) for part in error.absolute_path) for error in found})


@pytest.mark.parametrize("file", SCHEMAS)
def test_the_schema_is_one(file: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[file])

    assert SCHEMAS[file]["$schema"] == "https://json-schema.org/draft/2020-12/schema"


EACH = list(examples())


@pytest.mark.parametrize(("file", "text"), [each[1:] for each in EACH], ids=[each[0] for each in EACH])
def test_every_example_is_right_by_the_schema(file: str, text: str) -> None:
    assert errors(file, text) == []


def test_the_examples_are_those_of_all_places() -> None:
    names = " ".join(each[0] for each in EACH)

    assert all(place in names for place in ("account-b.toml", "syncd.toml", "README.md", "configmap"))


JOB = 'name = "b"\n'


@pytest.mark.parametrize(
    ("file", "text", "key"),
    [
        ("job", "", ""),
        ("job", 'name = "a b"', "name"),
        ("job", JOB + "every = 5", "every"),
        ("job", JOB + 'every = "5 minutes"', "every"),
        ("job", JOB + 'evry = "5m"', ""),
        ("job", JOB + 'cron = "@daily"', "cron"),
        ("job", JOB + 'start = "yesterday"', "start"),
        ("job", JOB + "[listing]\ndeep_days = 0", "listing.deep_days"),
        ("job", JOB + "[consumer]\naccount_id = 222222222222", "consumer.account_id"),
        ("job", JOB + '[source]\nbucket = "My_Bucket"', "source.bucket"),
        ("job", JOB + '[source]\naccounts = "222222222222"', "source.accounts"),
        ("job", JOB + '[source]\naccounts = ["222"]', "source.accounts"),
        ("job", JOB + '[source]\nkinds = ["Cloudtrail"]', "source.kinds"),
        ("job", JOB + '[source]\norganization_id = "ou-ab12"', "source.organization_id"),
        ("job", JOB + '[source]\nlayout = "dated"', "source.layout"),
        ("job", JOB + '[source.role]\narn = "arn:aws:iam::111111111111:user/Test"', "source.role.arn"),
        ("job", JOB + '[destination]\ncopy = "rsync"', "destination.copy"),
        ("job", JOB + '[destination]\nstorage_class = "OUTPOSTS"', "destination.storage_class"),
        ("job", JOB + '[destination]\npart_size = "8M"', "destination.part_size"),
        ("job", JOB + '[endpoints]\ns3 = "127.0.0.1:5000"', "endpoints.s3"),
        ("job", JOB + '[engine]\nbytes_per_second = "fast"', "engine.bytes_per_second"),
        ("syncd.toml", 'every = "5m"', ""),
        ("syncd.toml", '[log]\nlevel = "loud"', "log.level"),
        ("syncd.toml", "[engine]\nworkers = 0", "engine.workers"),
        ("syncd.toml", 'jobs = "jobs.d/*.toml"', "jobs"),
        ("syncd.toml", 'drain = "15"', "drain"),
        ("syncd.toml", '[defaults]\nevry = "5m"', "defaults"),
        ("syncd.toml", "[defaults.source]\naccount_id = 1", "defaults.source.account_id"),
    ],
)
def test_a_mistake_in_a_key_is_marked_there(file: str, text: str, key: str) -> None:
    assert errors(file, text) == [key]


def properties(file: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Table, key and schema of each key of a file, with references followed."""
    schema = SCHEMAS[file]

    def below(table: dict[str, Any], path: str) -> Iterator[tuple[str, str, dict[str, Any]]]:
        for key, item in table["properties"].items():
            if "$ref" in item:
                yield from below(schema["$defs"][item["$ref"].rpartition("/")[2]], f"{path}.{key}".strip("."))
            else:
                yield path, key, item

    yield from below(schema, "")


@pytest.mark.parametrize("file", SCHEMAS)
def test_every_key_has_its_description_and_a_default_that_is_right(file: str) -> None:
    found = {(table, key): item for table, key, item in properties(file) if not table.startswith("defaults")}
    rows = {(row.table, row.key): row for row in schema_rows() if row.file == file and row.key != "defaults"}

    assert found.keys() == rows.keys()
    assert [key for key, item in found.items() if not item["description"].startswith(rows[key].description)] == []
    for item in found.values():
        whole = {**item, "$defs": SCHEMAS[file]["$defs"]}
        assert "default" not in item or Draft202012Validator(whole).is_valid(item["default"]), item
    assert sum("default" in item for item in found.values()) > 12


def test_the_defaults_hold_the_keys_of_a_job_and_require_none() -> None:
    keys = {(table, key) for table, key, _ in properties("job")}
    below = {(table, key) for table, key, _ in properties("syncd.toml") if table.startswith("defaults")}

    assert below == {(f"defaults.{table}".rstrip("."), key) for table, key in keys}
    assert errors("syncd.toml", "[defaults]\n[defaults.source]\n[defaults.source.role]\n") == []
