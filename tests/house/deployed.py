"""Reading the deployment files: units, the Dockerfile, YAML, and what they all refer to."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml

PROJECT = Path(__file__).parents[2]
DEPLOY = PROJECT / "deploy"

VERBS = frozenset(
    {"run", "tick", "catch-up", "plan", "check", "status", "policies", "ledger", "init", "demo", "config", "work"},
)
"""What `syncd` can be told to do."""

CONFIG_OPTION = ["--config", "/etc/syncd/syncd.toml"]
DRAIN_SECONDS = 15
"""How long `syncd run` may take by default to finish the objects in flight after SIGTERM."""

Unit: TypeAlias = dict[str, dict[str, list[str]]]


class Instruction(NamedTuple):
    """One line of a Dockerfile."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The arguments in exec form; json.JSONDecodeError where they are in shell form."""
        words: list[str] = json.loads(self.text)
        return words


def read_unit(path: Path) -> Unit:
    """Sections, in each of them keys, and for each key its values in the order in which they stand."""
    unit: Unit = {}
    section: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        if line.startswith("["):
            section = unit.setdefault(line.strip("[]"), {})
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            section.setdefault(key, []).append(value)
    return unit


def seconds(span: str) -> int:
    """A systemd or Compose span of one unit, such as `30s`."""
    amount, unit = re.fullmatch(r"(\d+)(s|min|m|h)", span).groups()  # type: ignore[union-attr]
    return int(amount) * {"s": 1, "min": 60, "m": 60, "h": 3600}[unit]


def read_dockerfile(path: Path) -> list[list[Instruction]]:
    """The instructions of each stage, its FROM first; arguments before the first stage are left out."""
    lines = [line for line in path.read_text().splitlines() if not line.lstrip().startswith("#")]
    stages: list[list[Instruction]] = []
    for line in re.sub(r"\\\n\s*", " ", "\n".join(lines)).splitlines():
        name, _, text = line.strip().partition(" ")
        if name == "FROM":
            stages.append([])
        if name and stages:
            stages[-1].append(Instruction(name, text.strip()))
    return stages


def read_yaml(path: Path) -> Any:
    """The one document of a YAML file."""
    return yaml.safe_load(path.read_text())
