"""The Helm chart, linted and rendered: the same pod as deploy/kubernetes, and a configuration that loads."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.config.files import load

sys.path.append(str(Path(__file__).parents[1] / "house"))

from deployed import DEPLOY, PROJECT, read_yaml
from needed_tools import find_tool

CHART = DEPLOY / "helm" / "syncd"
JOB = PROJECT / "config" / "jobs.d" / "account-b.toml"
OURS = {"app.kubernetes.io/name": "syncd", "app.kubernetes.io/instance": "logs"}
pytestmark = pytest.mark.needs_tool("helm")


def helm(tool: Path, *arguments: object) -> str:
    """What helm prints."""
    run = subprocess.run([tool, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def rendered(tool: Path, *settings: str) -> dict[str, Any]:
    """The objects of the release `logs`, by kind."""
    values = [word for setting in settings for word in ("--set", setting)]
    text = helm(tool, "template", "logs", CHART, "--namespace", "audit", "--set-file", f"jobs.account-b={JOB}", *values)
    return {found["kind"]: found for found in yaml.safe_load_all(text)}


def test_helm_finds_nothing_wrong_with_the_chart(tool: Path) -> None:
    assert "0 chart(s) failed" in helm(tool, "lint", "--strict", CHART)


def test_the_pod_is_that_of_the_manifests_but_for_its_names(tool: Path) -> None:
    pod = rendered(tool)["Deployment"]["spec"]["template"]["spec"]
    plain = read_yaml(DEPLOY / "kubernetes" / "deployment.yaml")["spec"]["template"]["spec"]
    (container,), (expected,) = pod.pop("containers"), plain.pop("containers")
    volumes, others = ({item["name"]: item for item in spec.pop("volumes")} for spec in (pod, plain))

    assert pod | {"serviceAccountName": "syncd"} == plain
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert container | {"image": "syncd"} == expected
    assert volumes.keys() == others.keys()
    assert (volumes["credentials"], volumes["tmp"]) == (others["credentials"], others["tmp"])


def test_everything_selects_the_pods_of_this_release_only(tool: Path) -> None:
    objects = rendered(tool, "podMonitor.enabled=true")
    selectors = [
        objects["Deployment"]["spec"]["selector"]["matchLabels"],
        objects["Service"]["spec"]["selector"],
        objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        objects["PodMonitor"]["spec"]["selector"]["matchLabels"],
    ]

    assert selectors == [OURS] * 4
    assert objects["Deployment"]["spec"]["template"]["metadata"]["labels"].items() >= OURS.items()


def test_the_configuration_loads_and_admits_the_services_names(tool: Path, tmp_path: Path) -> None:
    for name, text in rendered(tool)["ConfigMap"]["data"].items():
        (tmp_path / name).write_text(text)

    configuration = load(tmp_path / "syncd.toml", {})

    assert [job.name for job in configuration.jobs] == ["account-b"]
    assert list(configuration.settings.http.hosts) == ["logs", "logs.audit", "logs.audit.svc"]


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("service.enabled=false", "Service"),
        ("networkPolicy.enabled=false", "NetworkPolicy"),
        ("persistence.existingClaim=mine", "PersistentVolumeClaim"),
        ("podMonitor.enabled=false", "PodMonitor"),
    ],
)
def test_what_is_switched_off_is_not_rendered(setting: str, kind: str, tool: Path) -> None:
    assert kind not in rendered(tool, setting)


def test_nobody_reaches_the_port_if_no_namespace_is_named(tool: Path) -> None:
    assert rendered(tool, "networkPolicy.namespaces=null")["NetworkPolicy"]["spec"]["ingress"] == []


def test_a_mistyped_value_is_refused(tool: Path) -> None:
    run = subprocess.run(
        [tool, "template", "logs", CHART, "--set", "image.digst=x"], capture_output=True, text=True, check=False
    )

    assert run.returncode != 0
    assert "digst" in run.stderr


def test_every_object_obeys_the_schema_of_kubernetes(tool: Path, tmp_path: Path) -> None:
    for kind, found in rendered(tool).items():
        path = tmp_path / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(found))
        run = subprocess.run(
            [str(find_tool("kubernetes-validate")), "--strict", path], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
