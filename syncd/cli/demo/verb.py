"""The verb `demo`."""

import json
import os
import sys
import textwrap
from pathlib import Path

import click

from syncd.cli.options import PATH, earlier_config, json_option
from syncd.cli.terminal.help import examples

_TROUBLES = ("role", "late", "conflict", "clock")


@click.command("demo", epilog=examples("syncd demo", "syncd demo --keep", "syncd demo break role"))
@click.argument(
    "action",
    metavar="[ACTION]",
    type=click.Choice(("break", "mend")),
    required=False,
    help="`break` or `mend`, for a demo that --keep has left running.",
)
@click.argument(
    "trouble",
    metavar="[TROUBLE]",
    type=click.Choice(_TROUBLES),
    required=False,
    help="What to break or mend: role, late, conflict or clock.",
)
@click.option(
    "--keep",
    is_flag=True,
    help="Leave it running until Ctrl-C, with a daemon and its status page, to try things.",
)
@click.option(
    "--config",
    metavar="PATH",
    type=PATH,
    callback=earlier_config,
    help="Not read, since the demo writes its own; for `break` and `mend`, which of several kept demos.",
)
@json_option
def show_demo(action: str | None, trouble: str | None, *, keep: bool, config: Path | None, as_json: bool) -> None:
    """Run everything against an embedded AWS, or break and mend one that was kept. Needs no configuration."""
    from syncd.cli.demo import demo

    if action is None:
        sys.exit(demo.run(keep=keep, as_json=as_json))
    if trouble is None:
        raise click.BadParameter(f"`{action}` needs one of {', '.join(_TROUBLES)}", param_hint="TROUBLE")
    if keep:
        raise click.BadParameter(f"does not go with `{action}`", param_hint="--keep")
    _do(action, trouble, config, as_json=as_json)


def _do(action: str, trouble: str, config: Path | None, *, as_json: bool) -> None:
    """Break or mend a demo that runs, and tell what was done."""
    from syncd.cli.demo import demo
    from syncd.cli.demo.kept import keeping
    from syncd.cli.demo.kept.trouble import Trouble, break_it, mend

    kept = keeping.find(config, os.environ)
    told = (break_it if action == "break" else mend)(kept, Trouble(trouble))
    then = told.then.replace("syncd", demo.program(), 1) if told.then else ""
    page = kept.page if told.job == "*" else f"{kept.page}jobs/{told.job}"
    status = f"{demo.program()} status --config {kept.config}"
    if as_json:
        document = {"trouble": trouble, "job": told.job, "told": told.words, "page": page, "mend": then or None}
        sys.stdout.write(json.dumps(document) + "\n")
        return
    sys.stdout.write(f"{textwrap.fill(told.words, 80)}\n")
    shows = "it shows on" if then else "all is well again on"
    sys.stdout.write(f"At the next tick, within {keeping.EVERY}, {shows} {page} and in\n  {status}\n")
    if then:
        sys.stdout.write(f"To mend it:\n  {then}\n")
