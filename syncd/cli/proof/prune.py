"""`syncd prune-source`: deletes at the source what is proved to be replicated."""

import json
import sys
import time
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.cli.options import config_option, job_names, json_option, keys_option, load, strict_option
from syncd.cli.terminal.help import examples
from syncd.daemon import logs
from syncd.job.exit_codes import ALREADY_RUNNING, DONE, FAILED, PARTIAL
from syncd.model.errors import Interrupted
from syncd.model.escaping import safe_key, safe_line

if TYPE_CHECKING:
    from syncd.config.job import Configuration, Job

_SHOWN = 20
_LISTED = 1000


@click.command(
    "prune-source",
    epilog=examples(
        "syncd prune-source account-b --older-than 400", "syncd prune-source account-b --older-than 400 --delete"
    ),
)
@click.argument("job", metavar="JOB", shell_complete=job_names, help="The job.")
@click.option(
    "--older-than",
    metavar="DAYS",
    type=int,
    required=True,
    help="Leave alone what is younger than so many days.",
)
@click.option("--delete", is_flag=True, help="Delete; without it, only say what would be deleted.")
@keys_option
@config_option
@strict_option
@json_option
def prune_source(
    job: str,
    *,
    older_than: int,
    delete: bool,
    keys: Path | None,
    config: Path | None,
    strict: bool,
    as_json: bool,
) -> None:
    """Delete at the source what is proved to be replicated. Without --delete it is a dry run."""
    from syncd.job import refused

    configuration = load(config, strict=strict)
    (chosen,) = refused.chosen(configuration, [job])
    least = ceil(chosen.listing.recent / timedelta(days=1))
    if older_than < least:
        why = f"ticks of {chosen.name} expect to see the last {least} days (listing.recent): give {least} or more"
        raise click.BadParameter(why, param_hint="--older-than")
    pruned, signal_code = _prune(configuration, chosen, older_than, keys, deletes=delete)
    document = pruned_document(pruned)
    if as_json:
        sys.stdout.write(json.dumps(document) + "\n")
    else:
        show_pruned(document)
    sys.exit(signal_code or _exit_code(pruned))


def _prune(
    configuration: "Configuration", job: "Job", older_than: int, keys: Path | None, *, deletes: bool
) -> tuple[Any, int]:
    from syncd.job import verbs
    from syncd.job.installation import Installation
    from syncd.verify.keystore import kept_keys, read_keys
    from syncd.verify.pruning.pruner import Pruner

    known = kept_keys(configuration.settings.state_dir).all() if keys is None else read_keys(keys)
    installation = Installation.of(configuration, now=time.time, tell=logs.event_logger())
    with verbs.interruptible() as interruption:
        pruner = Pruner(
            job,
            installation,
            older_than_days=older_than,
            deletes=deletes,
            known_keys=known,
            asks=keys is None,
            others=configuration.jobs,
            stop=interruption.stop,
        )
        try:
            pruner.run()
        except Interrupted:
            return pruner.done, 128 + interruption.signal
        finally:
            installation.close()
    return pruner.done, 0


def _exit_code(pruned: Any) -> int:
    from syncd.verify.pruning.prunable import BEFORE_START

    if pruned.error is not None:
        return ALREADY_RUNNING if pruned.is_running else FAILED
    is_whole = not pruned.failed_count and all(kept.reason == BEFORE_START for kept in pruned.kept)
    return DONE if is_whole else PARTIAL


def pruned_document(pruned: Any) -> dict[str, Any]:
    """Return the JSON of `syncd prune-source`."""
    from syncd.job.report import utc

    error = pruned.error
    return {
        "job": pruned.job,
        "deletes": pruned.deletes,
        "older_than_days": pruned.older_than_days,
        "until": utc(pruned.until),
        "objects": sum(len(day.objects) for day, _ in pruned.days),
        "bytes": pruned.size_bytes,
        "deleted": sum(gone for _, gone in pruned.days),
        "days": [
            {"prefix": day.shard.prefix, "day": day.day, "objects": len(day.objects), "deleted": gone}
            for day, gone in pruned.days
        ],
        "digests_waiting": pruned.waiting,
        "kept_days": len(pruned.kept),
        "kept": [
            {
                "prefix": kept.prefix,
                "day": kept.day,
                "reason": kept.reason,
                "detail": kept.detail,
                "key": kept.key or None,
            }
            for kept in pruned.kept[:_LISTED]
        ],
        "failed_count": pruned.failed_count,
        "failed": [
            {"key": item.transfer.object.key, "reason": item.reason, "detail": item.detail} for item in pruned.failed
        ],
        "conditional": pruned.is_conditional,
        "requests": dict(sorted(pruned.requests.items())),
        "duration_seconds": round(pruned.duration_seconds, 3),
        "error": None if error is None else {"reason": error.reason, "detail": error.detail, "remedy": error.remedy},
    }


def show_pruned(document: dict[str, Any]) -> None:
    """Print what a person sees of a prune."""
    from rich.text import Text

    from syncd.cli.screen.drawing import plain_console

    console = plain_console()
    if (error := document["error"]) is not None:
        console.print(Text(f"{document['job']}: {error['reason']}: {safe_line(error['detail'])}", style="bold"))
        console.print(Text(f"  what to do: {safe_line(error['remedy'])}"))
    elif document["deletes"]:
        words = f"{document['deleted']:,} of {document['objects']:,} objects deleted at the source"
        console.print(Text(f"{document['job']}: {words}", style="bold"))
    else:
        words = f"{document['objects']:,} objects, {document['bytes']:,} bytes, would be deleted"
        console.print(Text(f"{document['job']}: {words}", style="bold"))
        console.print(Text("  a dry run: nothing was; --delete does it"))
    for day in document["days"]:
        console.print(Text(f"  {day['day']}  {safe_key(day['prefix'])}: {day['objects']:,} objects"))
    if document["digests_waiting"]:
        console.print(Text(f"  {document['digests_waiting']:,} digests stay until all logs that they name are gone"))
    for kept in document["kept"][:_SHOWN]:
        key = f" {safe_key(kept['key'])}:" if kept["key"] else ""
        words = f"{kept['reason']}:{key} {safe_line(kept['detail'])}"
        console.print(Text(f"  {kept['day']}  {safe_key(kept['prefix'])}: kept: {words}"))
    if document["kept_days"] > _SHOWN:
        console.print(Text(f"  and {document['kept_days'] - _SHOWN} kept days more; --json has them"))
    for failed in document["failed"][:_SHOWN]:
        words = f"{failed['reason']}: {safe_line(failed['detail'])}"
        console.print(Text(f"  not deleted: {safe_key(failed['key'])}: {words}"))
