"""The manual page syncd(1), written from the code: `python tools/manpage.py > syncd.1`."""

import re
import sys
from collections.abc import Iterator
from typing import Any

from reference import spelled, usage, verbs
from reference_words import ENVIRONMENT, EXIT_CODES

from syncd import __version__
from syncd.cli.app import program

_FILES = {
    "/etc/syncd/syncd.toml": "The configuration, if neither `--config` nor `SYNCD_CONFIG` names another.",
    "/etc/syncd/jobs.d/*.toml": "One file per job.",
    "/var/lib/syncd": "The state. It is rebuilt from the destination if it is lost.",
}


def page() -> str:
    """Return the whole page."""
    return "\n".join((*_head(), *_commands(), *_tail())) + "\n"


def _head() -> Iterator[str]:
    yield from (
        f'.TH SYNCD 1 "" "syncd {__version__}" "User Commands"',
        ".SH NAME",
        r"syncd \- replicate CloudTrail logs into your own bucket",
        ".SH SYNOPSIS",
        r"\fBsyncd\fR \fICOMMAND\fR [\fIARGUMENTS\fR]",
        ".SH DESCRIPTION",
        _text(" ".join((program.help or "").split())),
    )


def _commands() -> Iterator[str]:
    yield ".SH COMMANDS"
    for name, command in verbs().items():
        yield from (f".SS {_text(usage(name, command))}", _text(" ".join(command.help.split())))
        for item in command.params:
            if item.param_type_name == "option" and not item.hidden:
                yield from _entry(spelled(item), item.help or "")


def _tail() -> Iterator[str]:
    for heading, entries in (("EXIT STATUS", EXIT_CODES), ("ENVIRONMENT", ENVIRONMENT), ("FILES", _FILES)):
        yield f".SH {heading}"
        for name, words in entries.items():
            yield from _entry(str(name), words)
    yield from (".SH SEE ALSO", r"/usr/share/doc/syncd, \fBsystemctl\fR(1), \fBjournalctl\fR(1)")


def _entry(name: str, words: str) -> Iterator[str]:
    yield from (".TP", rf"\fB{_text(name.replace('`', ''))}\fR", _text(words))


def _text(markdown: Any) -> str:
    """Escape for roff: backslashes, dashes, and a leading dot or apostrophe. Code becomes bold."""
    escaped = markdown.replace("\\", r"\e").replace("-", r"\-")
    bold = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped)
    return rf"\&{bold}" if bold.startswith((".", "'")) else bold


if __name__ == "__main__":
    sys.stdout.write(page())
