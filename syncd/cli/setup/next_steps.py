"""The steps after `syncd init`, offered one by one on a terminal and run as their user would type them."""

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence

import click

from syncd.cli.setup.first_config import Step

_GOES_ON = frozenset({"n", "no"})
_ENDS = frozenset({"q", "quit"})


def offer(steps: Sequence[Step], say: Callable[[str], None]) -> None:
    """Offer each step but the last, which never ends, and run those that are wanted."""
    *offered, last = steps
    for number, step in enumerate(offered):
        say(f"\n{number + 1} of {len(offered)}: {step.purpose}\n  {step.command}")
        if not _run_until_done(step, say):
            rest = [*offered[number:], last]
            say("\nTo go on later:\n" + "\n".join(f"  {each.command}" for each in rest))
            return
    say(f"\nTo {last.purpose}:\n  {last.command}")


def _run_until_done(step: Step, say: Callable[[str], None]) -> bool:
    """Run a step, again if it fails and that is wanted. Returns False to end."""
    question = "Run it? [Y/n, q ends]"
    while True:
        text = str(click.prompt(question, default="y", show_default=False, err=True, prompt_suffix=" ")).strip().lower()
        if text in _ENDS:
            return False
        if text in _GOES_ON:
            return True
        sys.stdout.flush()
        words = shlex.split(step.command)[1:]
        code = subprocess.run([sys.executable, "-m", "syncd", *words], check=False).returncode  # noqa: S603  # itself
        if code == 0:
            say(step.afterwards) if step.afterwards else None
            return True
        say(f"It ended with exit code {code}. Mend what it names, then:")
        question = "Run it again? [Y/n, q ends]"
