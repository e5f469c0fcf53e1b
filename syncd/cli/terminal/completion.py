"""Completion in a shell: the script that asks for it, and what is offered."""

import sys

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
    text = ShellComplete.source(asked(click.Command("syncd"), {}, "syncd", VARIABLE))
    # bash before 4.4 knows no nosort, and would register nothing.
    return text.replace("complete -o nosort -F", "complete -o default -F")


def complete(program: click.Group, instruction: str) -> int:
    """Print what the shell is to offer. Returns the exit code."""
    from click.shell_completion import shell_complete

    try:
        code = shell_complete(program, {}, "syncd", VARIABLE, instruction)
    except KeyError as error:
        # What the shell's function sets beside the instruction.
        code, instruction = 1, f"{instruction} without {error}"
    if code:
        shells = "|".join(SHELLS)
        sys.stderr.write(
            f"syncd: {VARIABLE}={instruction} is of another version: load `syncd completion {shells}` again\n"
        )
    return code
