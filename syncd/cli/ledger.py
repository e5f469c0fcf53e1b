"""The verbs about the state: rebuild it, export it, manage quarantined objects."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from syncd.cli import streams
from syncd.cli.options import config_option, jobs_argument, json_option, load, print_document, strict_option
from syncd.cli.terminal.help import Verbs, examples
from syncd.daemon import logs
from syncd.job import exit_codes
from syncd.job.exit_codes import DONE, FAILED
from syncd.model.errors import LedgerError
from syncd.model.escaping import key_of, safe_key, safe_line

if TYPE_CHECKING:
    from syncd.config.job import Configuration, Job
    from syncd.job.ledger_verbs import Chosen
    from syncd.ledger.ledger import LedgerFile


@click.group("ledger", cls=Verbs)
def ledger() -> None:
    """Rebuild or export the state, and manage quarantined objects."""


@ledger.command(
    "rebuild", epilog=examples("syncd ledger rebuild account-b --dry-run", "syncd ledger rebuild account-b")
)
@jobs_argument
@click.option("--dry-run", is_flag=True, help="Say what would be forgotten, kept and listed. Changes and asks nothing.")
@config_option
@strict_option
@json_option
def ledger_rebuild(jobs: Sequence[str], *, dry_run: bool, config: Path | None, strict: bool, as_json: bool) -> None:
    """Discard what is remembered of copied objects, and rebuild it from the destination's listing.

    The start, the quarantine and what was accepted stay.
    """
    from syncd.job import ledger_verbs, refused
    from syncd.job.installation import Installation

    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    if dry_run:
        document = ledger_verbs.rehearse(chosen, _ledger_file(configuration))
    else:
        installation = Installation.of(configuration, now=time.time, tell=logs.event_logger())
        document = ledger_verbs.rebuild(chosen, installation)
    document["jobs"] += refused.refused_rebuilds(refused.refused(configuration, jobs))
    print_document(document, lambda screen: screen.rebuild_table(document), as_json=as_json)
    sys.exit(exit_codes.of_rebuild(document))


@ledger.command("export", epilog=examples("syncd ledger export account-b | head"))
@jobs_argument
@config_option
@strict_option
@json_option
def ledger_export(jobs: Sequence[str], *, config: Path | None, strict: bool, as_json: bool) -> None:
    """Print every row as JSON, one per line. With --json, print one document."""
    from syncd.job import ledger_verbs, refused

    configuration = load(config, strict=strict)
    rows = ledger_verbs.export(refused.chosen(configuration, jobs), _ledger_file(configuration))
    separator = ""
    sys.stdout.write('{"rows": [' if as_json else "")
    with _state_used("], ", as_json=as_json):
        for row in rows:
            sys.stdout.write(separator + json.dumps(row) + ("" if as_json else "\n"))
            separator = ", " if as_json else ""
            if streams.reader_has_gone():
                break
    left_out = refused.refused(configuration, jobs)
    if as_json:
        sys.stdout.write("], " + json.dumps({**refused.refused_entries(left_out), "error": None})[1:] + "\n")
    sys.exit(exit_codes.with_refused(DONE, left_out))


@ledger.group("quarantine", cls=Verbs)
def quarantine() -> None:
    """List, retry or accept objects that are known but not at the destination."""


job_option = click.option("--job", metavar="JOB", multiple=True, help="Only this job; repeatable.")
key_argument = click.argument(
    "key",
    metavar="[KEY]",
    required=False,
    help="The object's key in the source as it is shown, or a pattern with *, ? and [...], in quotes: an escape such as"
    " \\u202e stands for an invisible character, and two backslashes for one.",
)
reason_option = click.option("--reason", metavar="REASON", help="Only objects with this reason, such as archived.")
all_option = click.option("--all", "everything", is_flag=True, help="Every object in quarantine.")


@quarantine.command(
    "list", epilog=examples("syncd ledger quarantine list", "syncd ledger quarantine list account-b --json")
)
@jobs_argument
@config_option
@strict_option
@json_option
def quarantine_list(jobs: Sequence[str], *, config: Path | None, strict: bool, as_json: bool) -> None:
    """List failed and conflicting objects: the reason, the attempts, and the next attempt."""
    from syncd.cli.screen import output, tables
    from syncd.job import held_list, refused

    configuration = load(config, strict=strict)
    chosen = refused.chosen(configuration, jobs)
    left_out = refused.refused(configuration, jobs)
    if as_json:
        besides = refused.refused_entries(left_out)
        is_read = held_list.write_held(chosen, _ledger_file(configuration), sys.stdout.write, besides)
        sys.exit(exit_codes.with_refused(DONE, left_out) if is_read else FAILED)
    entries = held_list.held_entries(chosen, _ledger_file(configuration))
    with _state_used("", as_json=False):
        first = next(entries, None)
        if first is None:
            output.show(["the quarantine is empty"])
        else:
            output.show(tables.held_table(chain([first], entries)))
    sys.exit(exit_codes.with_refused(DONE, left_out))


@quarantine.command(
    "retry",
    epilog=examples(
        "syncd ledger quarantine retry --reason archived --job account-b",
        "syncd ledger quarantine retry 'AWSLogs/*/2026/11/24/*'",
    ),
)
@key_argument
@reason_option
@all_option
@job_option
@config_option
@strict_option
@json_option
def quarantine_retry(
    key: str | None,
    *,
    reason: str | None,
    everything: bool,
    job: Sequence[str],
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Let the next tick try objects again."""
    from syncd.job import ledger_verbs

    chosen = _chosen(key, reason, everything=everything)
    configuration = load(config, strict=strict)
    done = "will be tried again by the next tick of"
    _deal_with(chosen, ledger_verbs.retry, configuration, job, done, as_json=as_json)


@quarantine.command(
    "accept",
    epilog=examples(
        "syncd ledger quarantine accept AWSLogs/.../x.json.gz --job account-b",
        "syncd ledger quarantine accept --reason object_gone --job account-b",
    ),
)
@key_argument
@reason_option
@all_option
@job_option
@config_option
@strict_option
@json_option
def quarantine_accept(
    key: str | None,
    *,
    reason: str | None,
    everything: bool,
    job: Sequence[str],
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Accept conflicting replicas as they are, or objects that the source has deleted."""
    from syncd.job import ledger_verbs

    chosen = _chosen(key, reason, everything=everything)
    configuration = load(config, strict=strict)
    _deal_with(chosen, ledger_verbs.accept, configuration, job, "accepted for", as_json=as_json)


def _chosen(word: str | None, reason: str | None, *, everything: bool) -> "Chosen":
    """Return the objects that the arguments name. Nothing named is a mistake, not everything."""
    from syncd.job.ledger_verbs import Chosen
    from syncd.model.reasons import Reason

    if word is None and reason is None and not everything:
        raise click.BadParameter("name a key or a pattern, or give --reason or --all", param_hint="KEY")
    if everything and (word is not None or reason is not None):
        raise click.BadParameter("goes with neither a key nor --reason", param_hint="--all")
    # AWS's own codes are reasons too, and look another way.
    if reason is not None and reason.islower() and reason not in set(Reason):
        raise click.BadParameter(
            f"{safe_line(reason)} is no reason; `quarantine list` shows them", param_hint="--reason"
        )
    try:
        return Chosen(None if word is None else key_of(word), reason)
    except ValueError as error:
        raise click.BadParameter(f"{safe_line(word or '')}: {error}", param_hint="KEY") from None


def _ledger_file(configuration: "Configuration") -> "LedgerFile":
    from syncd.ledger.ledger import LedgerFile

    return LedgerFile(configuration.settings.state_dir, now=time.time)


@contextmanager
def _state_used(before: str, *, as_json: bool) -> Iterator[None]:
    """Exit with 1 if the state cannot be used, completing the document that `before` begins."""
    from syncd.job.ledger_verbs import ledger_error

    try:
        yield
    except LedgerError as error:
        if as_json:
            sys.stdout.write(f'{before}"error": {json.dumps(ledger_error(error))}}}\n')
        else:
            sys.stderr.write(f"syncd: {safe_line(str(error))}; {error.remedy}\n")
        sys.exit(FAILED)


def _deal_with(
    chosen: "Chosen",
    do: "Callable[[Sequence[Job], LedgerFile, Chosen], dict[str, Any]]",
    configuration: "Configuration",
    names: Sequence[str],
    done: str,
    *,
    as_json: bool,
) -> NoReturn:
    from syncd.job import refused

    jobs = refused.chosen(configuration, names)
    with _state_used(f'{{"key": {json.dumps(chosen.key)}, "jobs": [], "objects": 0, ', as_json=as_json):
        document = do(jobs, _ledger_file(configuration), chosen)
    error, count = document["error"], document["objects"]
    what = safe_key(chosen.key) if count == 1 and chosen.key is not None else f"{count:,} objects"
    words = error["detail"] if error else f"{what}: {done} {', '.join(document['jobs'])}"
    words += "".join(f"\n{job}: {safe_line(detail)}" for job, detail in document["details"].items())
    left_out = refused.refused(configuration, names)
    document |= refused.refused_entries(left_out)
    print_document(document, lambda _: words.split("\n"), as_json=as_json)
    sys.exit(FAILED if error else exit_codes.with_refused(DONE, left_out))
