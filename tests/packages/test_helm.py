"""The Helm chart, linted and rendered: the same pod as deploy/kubernetes, and a configuration that loads."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncd.config.files import load
from syncd.config.job import Configuration

sys.path.append(str(Path(__file__).parents[1] / "house"))

from deployed import DEPLOY, PROJECT, read_yaml
from needed_tools import find_tool

CHART = DEPLOY / "helm" / "syncd"
JOB = PROJECT / "config" / "jobs.d" / "account-b.toml"
OURS = {"app.kubernetes.io/name": "syncd", "app.kubernetes.io/instance": "logs"}
LEASE = "s3://example-syncd-state/fleet/"
FLEET = (f"fleet.lease={LEASE}", "fleet.members=2", "fleet.ttl=8s")
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


def loaded(objects: Mapping[str, Any], folder: Path) -> Configuration:
    """The configuration that the daemon of these objects reads."""
    for name, text in objects["ConfigMap"]["data"].items():
        (folder / name).write_text(text)
    return load(folder / "syncd.toml", {})


def refusal(tool: Path, *settings: str) -> str:
    """Why helm does not render the chart with these values."""
    values = [word for setting in settings for word in ("--set", setting)]
    run = subprocess.run([tool, "template", "logs", CHART, *values], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    return run.stderr


@pytest.mark.parametrize("settings", [(), FLEET])
def test_helm_finds_nothing_wrong_with_the_chart(settings: Sequence[str], tool: Path) -> None:
    values = [word for setting in settings for word in ("--set", setting)]

    assert "0 chart(s) failed" in helm(tool, "lint", "--strict", CHART, *values)


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
    configuration = loaded(rendered(tool), tmp_path)

    assert [job.name for job in configuration.jobs] == ["account-b"]
    assert list(configuration.settings.http.hosts) == ["logs", "logs.audit", "logs.audit.svc"]
    assert configuration.settings.fleet is None


@pytest.mark.parametrize("own", [(), ('config=state_dir = "/var/lib/syncd"\njobs = ["job-*.toml"]',)])
def test_with_a_lease_there_is_a_daemon_for_each_slot_and_one_to_stand_by(
    own: Sequence[str], tool: Path, tmp_path: Path
) -> None:
    objects = rendered(tool, *FLEET, *own, "persistence.storageClassName=fast")
    fleet = objects["StatefulSet"]["spec"]
    configuration = loaded(objects, tmp_path)
    settings = configuration.settings.fleet

    assert settings is not None
    assert (settings.lease, settings.members, settings.ttl.total_seconds()) == (LEASE, 2, 8)
    assert [job.name for job in configuration.jobs] == ["account-b"]
    assert fleet["replicas"] == 3
    assert fleet["volumeClaimTemplates"][0]["spec"]["storageClassName"] == "fast"
    assert not {"Deployment", "PersistentVolumeClaim"} & objects.keys()


def test_the_fleet_is_that_of_the_manifests_but_for_its_names(tool: Path) -> None:
    objects = rendered(tool, *FLEET)
    plain, budget = yaml.safe_load_all((DEPLOY / "kubernetes-fleet" / "statefulset.yaml").read_text())
    fleet, expected = objects["StatefulSet"]["spec"], plain["spec"]
    pod, other = (spec.pop("template")["spec"] for spec in (fleet, expected))
    selects = {"selector": {"matchLabels": OURS}}

    assert fleet == expected | selects | {"replicas": 3, "serviceName": "logs"}
    assert objects["PodDisruptionBudget"]["spec"] == budget["spec"] | selects
    assert pod.pop("topologySpreadConstraints")[0]["labelSelector"] == selects["selector"]
    del other["topologySpreadConstraints"]
    assert {item["name"] for item in pod.pop("volumes")} == {item["name"] for item in other.pop("volumes")}
    (container,), (daemon,) = pod.pop("containers"), other.pop("containers")
    assert pod | {"serviceAccountName": "syncd"} == other
    assert container.pop("imagePullPolicy") == "IfNotPresent"
    assert container | {"image": "syncd"} == daemon


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ([f"fleet.lease={LEASE}", "persistence.existingClaim=mine"], "leave existingClaim empty"),
        (["config=[fleet]\nmembers = 1"], "set fleet.lease"),
        ([f"fleet.lease={LEASE}", "config=jobs = []\n[ fleet ]"], "leave it out there"),
        (["fleet.lease=example-syncd-state"], "lease"),
        ([f"fleet.lease={LEASE}", "fleet.members=0"], "members"),
    ],
)
def test_a_fleet_that_could_not_run_is_refused(settings: Sequence[str], told: str, tool: Path) -> None:
    assert told in refusal(tool, *settings)


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
    assert "digst" in refusal(tool, "image.digst=x")


@pytest.mark.parametrize("settings", [(), FLEET])
def test_every_object_obeys_the_schema_of_kubernetes(settings: Sequence[str], tool: Path, tmp_path: Path) -> None:
    for kind, found in rendered(tool, *settings).items():
        path = tmp_path / f"{kind}.yaml"
        path.write_text(yaml.safe_dump(found))
        run = subprocess.run(
            [str(find_tool("kubernetes-validate")), "--strict", path], capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
