"""Completion in a shell: the script that asks for it, and what is offered."""

import click

VARIABLE = "_SYNCD_COMPLETE"
"""The variable in which a shell asks for completions."""
SHELLS = ("bash", "zsh", "fish")


def script(shell: str) -> str:
    """Return the script that completes verbs, options and jobs in a shell."""
    from click.shell_completion import ShellComplete, get_completion_class

    asked = get_completion_class(shell)
    assert asked is not None
    # For bash, `source()` of its own class would start bash, to look at its version.
    return ShellComplete.source(asked(click.Command("syncd"), {}, "syncd", VARIABLE))


def complete(program: click.Group, instruction: str) -> int:
    """Print what the shell is to offer. Returns the exit code."""
    from click.shell_completion import shell_complete

    return shell_complete(program, {}, "syncd", VARIABLE, instruction)
