"""The help of groups and verbs."""

import click

_LONGEST = 200


class Verbs(click.Group):
    """A group that lists its verbs in the order of their declaration, with all of the first sentence of their help."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all verbs."""
        del ctx
        return list(self.commands)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the verbs and what they do."""
        verbs = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, verb.get_short_help_str(limit=_LONGEST)) for name, verb in verbs if verb])


def examples(*lines: str) -> str:
    r"""Return the end of a verb's help. `\b` keeps click from filling the lines, which can be pasted."""
    return "\n".join(("\b", "Examples:", *(f"  $ {line}" for line in lines)))
