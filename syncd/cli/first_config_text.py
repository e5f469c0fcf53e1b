"""The files that `syncd init` writes, as text with comments."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def top_text(state_dir: Path) -> str:
    """syncd.toml."""
    return f"""\
# syncd.toml: what holds for all jobs. The jobs themselves are one file each, in jobs.d.
# No secret stands in these files, only where to find one.

state_dir = {_toml(str(state_dir))}    # where the state is kept
jobs = ["jobs.d/*.toml"]    # relative to this file

[http]    # for monitoring
listen = "127.0.0.1:9464"    # /metrics, /healthz and /readyz of `syncd run`; "" turns them off

[defaults]    # any keys of a job, for all jobs; a job's own keys win
every = "5m"
"""


_ABOUT = {
    "name": "in logs, metrics and verbs",
    "consumer": "who reads the source, and owns the destination",
    "consumer.account_id": "credentials of another account are refused",
    "consumer.profile": "of the AWS configuration",
    "consumer.credentials_file": "an AWS credentials file",
    "source": "the bucket that CloudTrail delivers to",
    "source.account_id": "a bucket of another account is refused",
    "source.prefix": "the trail's S3KeyPrefix, before AWSLogs/",
    "source.organization_id": "of an organization's trail",
    "source.accounts": 'whose logs; "*" discovers them',
    "source.role": "the role in the source's account that is assumed",
    "source.role.external_id": "that the role's trust policy asks for",
    "source.role.third_party": "the source belongs to another party: external_id is required",
    "destination": "the consumer's own bucket",
    "destination.prefix": "put in front of the source's key, literally",
    "endpoints": "an S3-compatible server instead of AWS",
    "endpoints.sts": "where the role is assumed",
    "endpoints.allow_http": "over plain HTTP, which whoever is on the way reads and may alter",
}


def job_text(raw: Mapping[str, Any]) -> str:
    """A job's file: a comment at each key whose meaning its name does not tell."""
    lines = [f"name = {_toml(raw['name'])}    # {_ABOUT['name']}"]
    lines += ['start = "31d"    # how far back it begins: "now", a duration, a day ("2026-11-01"), or "beginning"']
    for name, table in raw.items():
        if isinstance(table, Mapping):
            lines += ["", *_table_lines(name, table)]
    return "\n".join(lines) + "\n"


def _table_lines(name: str, table: Mapping[str, Any]) -> list[str]:
    lines = [f"[{name}]    # {_ABOUT[name]}"]
    for key, value in table.items():
        if not isinstance(value, Mapping):
            about = _ABOUT.get(f"{name}.{key}")
            lines.append(f"{key} = {_toml(value)}" + (f"    # {about}" if about else ""))
    for key, value in table.items():
        if isinstance(value, Mapping):
            lines += ["", *_table_lines(f"{name}.{key}", value)]
    return lines


def _toml(value: Any) -> str:
    """JSON's strings, lists of them, and booleans are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
