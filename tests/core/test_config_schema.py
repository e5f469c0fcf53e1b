"""The example files and the table of all keys say the same as the models."""

import re
import tomllib
from pathlib import Path

from syncd.config.files import load
from syncd.config.job import Job, Settings, schema_rows

EXAMPLES = Path(__file__).parents[2] / "config"
FILES = [EXAMPLES / "syncd.toml", *sorted((EXAMPLES / "jobs.d").glob("*.toml"))]


def with_every_key(text: str) -> str:
    """The text with its commented-out keys switched on: `#key = …` is a key, `# prose` is prose."""
    return re.sub(r"^#(?=[a-z0-9_]+ = |\[)", "", text, flags=re.MULTILINE)


def test_the_examples_load() -> None:
    configuration = load(EXAMPLES / "syncd.toml", {})

    assert [job.name for job in configuration.jobs] == ["account-b", "account-c", "organization", "third-party-z"]


def test_the_examples_load_with_every_commented_key_switched_on(tmp_path: Path) -> None:
    for file in FILES:
        copy = tmp_path / file.relative_to(EXAMPLES)
        copy.parent.mkdir(exist_ok=True)
        text = with_every_key(file.read_text())
        # Of a URL and the file that holds it, one may be given.
        is_both = "\nheartbeat_url_file = " in text
        copy.write_text(re.sub(r"^heartbeat_url = .*", "", text, flags=re.MULTILINE) if is_both else text)

    configuration = load(tmp_path / "syncd.toml", {"HOME": "/root"})

    assert len(configuration.jobs) == len(FILES) - 1


def test_every_key_is_in_an_example() -> None:
    documents = [tomllib.loads(with_every_key(file.read_text())) for file in FILES]
    here = {
        (file, *key) for file, each in zip(["syncd.toml", *["job"] * 9], documents, strict=False) for key in keys(each)
    }

    missing = [row for row in schema_rows() if (row.file, row.table, row.key) not in here]

    assert missing == []


def keys(document: dict[str, object], table: str = "") -> list[tuple[str, str]]:
    found = [(table, key) for key in document]
    for key, value in document.items():
        if isinstance(value, dict):
            found += keys(value, f"{table}.{key}" if table else key)
    return found


def test_the_examples_say_the_defaults_that_hold() -> None:
    text = "\n".join(file.read_text() for file in FILES)
    said = dict(re.findall(r"^([a-z0-9_]+) = .*default (\"[^\"]*\"|[0-9]+|true|false)$", text, re.MULTILINE))
    defaults = {row.key: row.default for row in schema_rows() if row.default not in ("none", "required")}

    wrong = {key: default for key, default in said.items() if defaults[key] not in (default, _long(default))}

    assert len(said) > 25
    assert wrong == {}


def _long(default: str) -> str:
    return {'"48h"': '"2d"', '"24h"': '"1d"'}.get(default, default)


def test_every_key_has_a_type_a_default_and_a_description() -> None:
    rows = schema_rows()

    assert [row for row in rows if not (row.type and row.default and row.description)] == []
    assert len({(row.file, row.table, row.key) for row in rows}) == len(rows)


def test_every_default_can_be_written_in_a_file() -> None:
    written = [row for row in schema_rows() if row.default not in ("none", "required")]
    plain = [row for row in written if row.key not in ("objective", "session_name")]

    settings = {(row.table, row.key): tomllib.loads(f"x = {row.default}")["x"] for row in plain}

    assert settings["", "every"] == "5m"
    assert settings["listing", "deep_days"] == 33
    assert settings["http", "allow_remote"] is False


def test_the_rows_cover_both_files() -> None:
    tops = {(row.file, row.key) for row in schema_rows() if not row.table}

    assert tops == {
        ("syncd.toml", key)
        for key in Settings.model_fields
        if key not in ("log", "http", "engine", "hints", "work", "fleet", "prices")
    } | {
        ("job", key)
        for key in (
            "name",
            "every",
            "cron",
            "jitter",
            "start",
            "lateness",
            "objective",
            "heartbeat_url",
            "heartbeat_url_file",
            "verify",
            "verify_rate",
        )
    }
    assert "copy" in {row.key for row in schema_rows()}
    assert Job.model_fields.keys() > {"source", "destination"}
