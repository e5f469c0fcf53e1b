"""The help of the verbs: options without a value are shown as such, and each verb has examples."""

from collections.abc import Mapping
from typing import Any

from typer.core import TyperGroup

COMPLETING = "_SYNCD_COMPLETE"
"""The variable in which a shell asks for completions."""

EXAMPLES: Mapping[str, tuple[str, ...]] = {
    "run": ("syncd run", "syncd run --config /etc/syncd/syncd.toml"),
    "tick": ("syncd tick", "syncd tick account-b", "syncd tick 'customer-*' --json"),
    "catch-up": (
        "syncd catch-up account-b --from 2026-01-01",
        "syncd catch-up account-b --from 2026-03-01 --to 2026-03-31 --region eu-west-1",
    ),
    "plan": ("syncd plan", "syncd plan --month", "syncd plan account-b --from 2026-01-01"),
    "status": ("syncd status", "syncd status --unhealthy --watch", "syncd status 'customer-0*' --json"),
    "demo": ("syncd demo", "syncd demo --keep", "syncd demo break role"),
    "init": (
        "syncd init",
        "syncd init --config ./syncd.toml --profile b --bucket example-trail --destination example-b-logs",
    ),
    "onboard": (
        "syncd onboard acme",
        "syncd onboard acme --account 111111111111 --bucket acme-trail --region eu-west-1 --destination example-z-logs",
    ),
    "check": ("syncd check", "syncd check account-b"),
    "policies": ("syncd policies account-b", "syncd policies account-b --format terraform --output ./iam"),
    "completion": ("source <(syncd completion bash)", "syncd completion fish > ~/.config/fish/completions/syncd.fish"),
    "rebuild": ("syncd ledger rebuild account-b --dry-run", "syncd ledger rebuild account-b"),
    "export": ("syncd ledger export account-b | head",),
    "list": ("syncd ledger quarantine list", "syncd ledger quarantine list account-b --json"),
    "retry": (
        "syncd ledger quarantine retry --reason archived --job account-b",
        "syncd ledger quarantine retry 'AWSLogs/*/2026/11/24/*'",
    ),
    "accept": (
        "syncd ledger quarantine accept AWSLogs/.../x.json.gz --job account-b",
        "syncd ledger quarantine accept --reason object_gone --job account-b",
    ),
    "schema": ("syncd config schema --job > job.schema.json",),
    "validate": ("syncd config validate --config ./syncd.toml",),
}


class Verbs(TyperGroup):
    """A group of verbs with examples in their help."""

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a verb, its help completed."""
        command = super().get_command(ctx, cmd_name)
        if command is not None:
            _complete(command, ctx)
            if cmd_name in EXAMPLES and not command.epilog:
                command.epilog = "\n\n".join(("Examples:", *(f"$ {example}" for example in EXAMPLES[cmd_name])))
        return command

    def get_params(self, ctx: Any) -> Any:
        """Return the group's own options."""
        return _without_values(super().get_params(ctx))


def _complete(command: Any, ctx: Any) -> None:
    _without_values(command.params)
    option = command.get_help_option(ctx)
    if option is not None:
        option.metavar = ""


def _without_values(params: Any) -> Any:
    """Show flags without the type of a value, which they do not take, and arguments by their names alone."""
    for param in params:
        if getattr(param, "is_flag", False):
            param.metavar = ""
        elif param.param_type_name == "argument":
            param.display_type_rich = _no_type
    return params


def _no_type(ctx: Any) -> None:
    """Return no type."""
    del ctx
