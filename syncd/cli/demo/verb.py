"""The verb `demo`."""

import json
import os
import sys
import textwrap
from pathlib import Path
from typing import Annotated

import typer

from syncd.cli.options import JsonOption, earlier_config

app = typer.Typer()

_ACTIONS = ("break", "mend")
_TROUBLES = ("role", "late", "conflict", "clock")


def _one_of(words: tuple[str, ...], value: str | None) -> str | None:
    if value is not None and value not in words:
        raise typer.BadParameter(f"{value!r} is none of {', '.join(words)}")
    return value


ActionArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="ACTION",
        help="`break` or `mend`, for a demo that --keep has left running.",
        callback=lambda value: _one_of(_ACTIONS, value),
        autocompletion=lambda: _ACTIONS,
        show_default=False,
    ),
]
TroubleArgument = Annotated[
    str | None,
    typer.Argument(
        metavar="TROUBLE",
        help="What to break or mend: role, late, conflict or clock.",
        callback=lambda value: _one_of(_TROUBLES, value),
        autocompletion=lambda: _TROUBLES,
        show_default=False,
    ),
]


@app.command("demo")
def show_demo(
    action: ActionArgument = None,
    trouble: TroubleArgument = None,
    *,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Leave it running until Ctrl-C, with a daemon and its status page, to try things."),
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="PATH",
            help="Not read, since the demo writes its own; for `break` and `mend`, which of several kept demos.",
            callback=earlier_config,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Run everything against an embedded AWS, or break and mend one that was kept. Needs no configuration."""
    from syncd.cli.demo import demo

    if action is None:
        sys.exit(demo.run(keep=keep, as_json=as_json))
    if trouble is None:
        raise typer.BadParameter(f"`{action}` needs one of {', '.join(_TROUBLES)}", param_hint="TROUBLE")
    if keep:
        raise typer.BadParameter(f"does not go with `{action}`", param_hint="--keep")
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
    typer.echo(textwrap.fill(told.words, 80))
    shows = "it shows on" if then else "all is well again on"
    typer.echo(f"At the next tick, within {keeping.EVERY}, {shows} {page} and in\n  {status}")
    if then:
        typer.echo(f"To mend it:\n  {then}")
