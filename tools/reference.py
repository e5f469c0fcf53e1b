"""docs/reference.md, written from the code: `make docs` writes it, `make check` compares it."""

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import click
from reference_words import DOCUMENTS, ENVIRONMENT, EXIT_CODES

from syncd.cli.app import program
from syncd.config.job import schema_rows
from syncd.config.tables.table import Row
from syncd.model import events
from syncd.model.reasons import REMEDIES

PATH = Path(__file__).parents[1] / "docs" / "reference.md"
_FILES = {
    "syncd.toml": "syncd.toml",
    "job": "A job file, and `[defaults]` in syncd.toml",
}


def reference() -> str:
    """The whole page."""
    return "\n".join((*_head(), *_commands(), *_exit_codes(), *_configuration(), *_environment(), *_rest())) + "\n"


def verbs() -> dict[str, Any]:
    """The commands by name; those of a group by both names, such as `ledger rebuild`."""
    return dict(_leaves("", program))


def event_names() -> Sequence[str]:
    """The names of all log events."""
    return sorted(value for name, value in vars(events).items() if name.isupper())


def reasons() -> Mapping[str, str]:
    """Every `reason` that a document can hold, and its remedy."""
    return REMEDIES


def flags(command: Any) -> Sequence[str]:
    """The long options of a command."""
    return [option for parameter in command.params for option in parameter.opts if option.startswith("--")]


def _leaves(path: str, command: Any) -> Iterator[tuple[str, Any]]:
    context = click.Context(command)
    for name in command.list_commands(context):
        inner = command.get_command(context, name)
        whole = f"{path} {name}".strip()
        if hasattr(inner, "commands"):
            yield from _leaves(whole, inner)
        else:
            yield whole, inner


def _head() -> Iterator[str]:
    yield from (
        "<!-- Written from the code by `make docs`. -->",
        "# Reference",
        "",
        "The interface for operators. It changes only with a line in the [changelog](../CHANGELOG.md). [design.md](design.md)",
        "defines the words, and [deploy](../deploy/README.md) shows how to run it.",
    )


def _commands() -> Iterator[str]:
    yield from (
        "",
        "## Commands",
        "",
        "Every document of `--json` is the only thing on stdout; logs and progress go to stderr.",
    )
    for name, command in verbs().items():
        yield from ("", f"### syncd {name}", "", f"`{usage(name, command)}`", "", " ".join(command.help.split()))
        options = [item for item in command.params if item.param_type_name == "option"]
        if options:
            yield ""
            yield from _table(
                ("flag", "meaning"), ((f"`{spelled(item)}`", item.help or "") for item in options if not item.hidden)
            )
        if name in DOCUMENTS:
            shape, fields = DOCUMENTS[name]
            yield from ("", f"`--json`: {shape}")
            if fields:
                yield ""
                yield from _table(("field", "meaning"), ((f"`{field}`", words) for field, words in fields.items()))


def usage(name: str, command: Any) -> str:
    """Return the synopsis of a command."""
    parts = ["syncd", name]
    for item in command.params:
        if item.param_type_name == "argument":
            word = (item.metavar or item.name.upper()).removesuffix("...").strip("[]")
            word = f"{word}..." if item.nargs == -1 else word
        else:
            word = spelled(item) + ("..." if getattr(item, "multiple", False) else "")
        parts.append(word if item.required else f"[{word}]")
    return " ".join(parts)


def spelled(option: Any) -> str:
    """Return an option with its placeholder."""
    name = "|".join((*option.opts, *option.secondary_opts))
    return name if option.is_flag else f"{name} {option.metavar or _placeholder(option)}"


def _placeholder(option: Any) -> str:
    """Return the option's name, which stands for one of some words that its help lists."""
    return str(option.opts[0]).removeprefix("--").upper()


def _exit_codes() -> Iterator[str]:
    yield from ("", "## Exit codes", "")
    yield from _table(("code", "meaning"), ((f"`{code}`", words) for code, words in EXIT_CODES.items()))


def _configuration() -> Iterator[str]:
    yield from (
        "",
        "## Configuration",
        "",
        "`--config`, else `$SYNCD_CONFIG`, else `/etc/syncd/syncd.toml`. Durations are numbers with s, m, h or d, such as",
        '`"1h30m"`, sizes numbers with B, KB, KiB, MB, MiB, GB or GiB. Examples with every key are in [config](../config/).',
        "",
        "Editors complete and check keys by a JSON Schema. Write both beside syncd.toml:",
        "",
        "```sh",
        "syncd config schema > syncd.schema.json",
        "syncd config schema --job > job.schema.json",
        "```",
        "",
        "Then begin syncd.toml with the line `#:schema ./syncd.schema.json`, and each file in jobs.d with",
        "`#:schema ../job.schema.json`. That is how taplo finds a schema, and so does VS Code with Even Better TOML, which is",
        "built on it. `taplo check` does the same in CI. A schema looks at single keys. `syncd config validate` checks what must",
        "hold between keys, `[defaults]` and files too.",
    )
    for (file, table), rows in groupby(schema_rows(), key=lambda row: (row.file, row.table)):
        if not table:
            yield from ("", f"### {_FILES[file]}")
        yield from ("", f"`[{table}]`", "") if table else ("",)
        yield from _table(("key", "type", "default", "meaning"), map(_key, rows))


def _key(row: Row) -> Sequence[str]:
    default = row.default if row.default in {"required", "none"} else f"`{row.default}`"
    return (f"`{row.key}`", row.type, default, row.description)


def _environment() -> Iterator[str]:
    yield from ("", "## Environment", "")
    yield from _table(
        ("variable", "meaning"),
        (
            (", ".join(f"`{part}`" if part.isupper() else part for part in names.split(", ")), words)
            for names, words in ENVIRONMENT.items()
        ),
    )


def _rest() -> Iterator[str]:
    yield from (
        "",
        "## Reasons",
        "",
        "Why an object or a job failed: `reason` in documents, in the log and in the labels of metrics.",
        "",
    )
    yield from _table(("reason", "what to do"), ((f"`{name}`", words) for name, words in reasons().items()))
    yield from (
        "",
        "## Log events",
        "",
        "One line each on stderr, JSON or console. The canonical line of a tick has the fields of its document. Each leads",
        "to what it means and what to do.",
        "",
    )
    yield from (f"- [`{name}`](operations.md#{name.replace('.', '')})" for name in event_names())


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(titles)} |"
    yield "|" + "---|" * len(titles)
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


def main(arguments: Sequence[str]) -> int:
    """Write the page, or with `--check` only say whether it is up to date: 0, else 1."""
    text = reference()
    if "--check" not in arguments:
        PATH.write_text(text, encoding="utf-8")
        return 0
    if PATH.is_file() and PATH.read_text(encoding="utf-8") == text:
        return 0
    sys.stderr.write("docs/reference.md does not say what the code says: make docs\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
