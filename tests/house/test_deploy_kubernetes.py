"""The Kubernetes objects: closed by default, one daemon, and a configuration that loads."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import CONFIG_OPTION, DEPLOY, DRAIN_SECONDS, VERBS, read_dockerfile, read_yaml

import syncd
from syncd.config.files import load

KUBERNETES = DEPLOY / "kubernetes"
WORKERS = KUBERNETES / "workers"
FLEET = DEPLOY / "kubernetes-fleet"
MANIFESTS = sorted(path.name for path in KUBERNETES.glob("*.yaml") if path.name != "kustomization.yaml")
ALTERNATIVE = "cronjob.yaml"
USER = 10001


@pytest.fixture(params=["deployment.yaml", ALTERNATIVE])
def pod(request: pytest.FixtureRequest) -> Any:
    """The spec of the pod that a manifest makes."""
    spec = read_yaml(KUBERNETES / request.param)["spec"]
    return spec.get("jobTemplate", {"spec": spec})["spec"]["template"]["spec"]


@pytest.fixture
def daemon() -> Any:
    return read_yaml(KUBERNETES / "deployment.yaml")["spec"]


@pytest.fixture
def config_map() -> Any:
    return read_yaml(KUBERNETES / "configmap.yaml")


def mount(config_map: Any, folder: Path) -> None:
    """Lays out a ConfigMap as the kubelet does: links to files in a folder that an update replaces as a whole."""
    (folder / "..data").mkdir()
    for name, text in config_map["data"].items():
        (folder / "..data" / name).write_text(text)
        (folder / name).symlink_to(Path("..data", name))


def environment(container: Any) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container["env"]}


def test_kustomize_takes_every_manifest_but_the_alternative_to_the_daemon() -> None:
    resources = read_yaml(KUBERNETES / "kustomization.yaml")["resources"]

    assert sorted(resources) == [name for name in MANIFESTS if name != ALTERNATIVE]


def test_kustomize_names_this_release_of_the_image() -> None:
    (image,) = read_yaml(KUBERNETES / "kustomization.yaml")["images"]

    assert image["newTag"] == syncd.__version__


def test_the_namespace_admits_restricted_pods_only() -> None:
    labels = read_yaml(KUBERNETES / "namespace.yaml")["metadata"]["labels"]

    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


def test_a_pod_runs_as_the_user_of_the_image(pod: Any) -> None:
    image = {line.name: line.text for line in read_dockerfile(DEPLOY / "docker" / "Dockerfile")[-1]}

    assert image["USER"] == f"{USER}:{USER}"
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        "fsGroup": USER,
        "fsGroupChangePolicy": "OnRootMismatch",
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def test_a_pod_keeps_its_container_closed(pod: Any) -> None:
    (container,) = pod["containers"]

    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_a_pod_carries_no_token_for_the_kubernetes_api(pod: Any) -> None:
    account = read_yaml(KUBERNETES / "serviceaccount.yaml")

    assert pod["serviceAccountName"] == account["metadata"]["name"]
    assert pod["automountServiceAccountToken"] is False
    assert account["automountServiceAccountToken"] is False


def test_a_pod_runs_a_verb_with_the_usual_configuration(pod: Any) -> None:
    verb, *arguments = pod["containers"][0]["args"]

    assert verb in VERBS
    assert arguments == CONFIG_OPTION


def test_a_pod_is_given_longer_than_the_drain_limit_to_stop(pod: Any) -> None:
    assert pod["terminationGracePeriodSeconds"] > DRAIN_SECONDS


def test_a_pod_can_write_to_its_state_and_to_tmp_only(pod: Any) -> None:
    mounts = pod["containers"][0]["volumeMounts"]

    assert {mount["mountPath"] for mount in mounts if not mount.get("readOnly")} == {"/var/lib/syncd", "/tmp"}
    assert {mount["name"] for mount in mounts} == {volume["name"] for volume in pod["volumes"]}


def test_a_pod_finds_its_credentials_where_the_secret_is_mounted(pod: Any) -> None:
    (container,) = pod["containers"]
    (folder,) = (mount["mountPath"] for mount in container["volumeMounts"] if mount["name"] == "credentials")

    assert environment(container) == {
        "AWS_SHARED_CREDENTIALS_FILE": f"{folder}/credentials",
        "CREDENTIALS_DIRECTORY": folder,
    }


def test_the_two_ways_to_run_differ_in_verb_probes_port_and_restarts_only() -> None:
    deployment, cron = (read_yaml(KUBERNETES / name)["spec"] for name in ("deployment.yaml", ALTERNATIVE))
    daemon, tick = deployment["template"]["spec"], cron["jobTemplate"]["spec"]["template"]["spec"]
    (daemon_container,), (tick_container,) = daemon.pop("containers"), tick.pop("containers")

    assert tick == daemon | {"restartPolicy": "Never"}
    assert tick_container.keys() ^ daemon_container.keys() == {
        "ports",
        "startupProbe",
        "livenessProbe",
        "readinessProbe",
    }
    assert {key for key in tick_container if tick_container[key] != daemon_container[key]} == {"args"}


def test_there_is_one_daemon_at_a_time(daemon: Any) -> None:
    assert daemon["replicas"] == 1
    assert daemon["strategy"] == {"type": "Recreate"}


def test_the_daemon_is_restarted_for_being_dead_and_not_for_being_late(daemon: Any) -> None:
    (container,) = daemon["template"]["spec"]["containers"]
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}

    assert probes == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


def test_only_monitoring_reaches_the_daemons_port(daemon: Any) -> None:
    spec = read_yaml(KUBERNETES / "networkpolicy.yaml")["spec"]
    (rule,) = spec["ingress"]
    (port,) = daemon["template"]["spec"]["containers"][0]["ports"]

    assert spec["policyTypes"] == ["Ingress"]
    assert spec["podSelector"]["matchLabels"].items() <= daemon["template"]["metadata"]["labels"].items()
    assert rule["ports"] == [{"protocol": "TCP", "port": port["containerPort"]}]
    assert [set(peer) for peer in rule["from"]] == [{"namespaceSelector"}]


def test_passes_never_run_side_by_side_and_are_not_retried_on_their_own() -> None:
    spec = read_yaml(KUBERNETES / ALTERNATIVE)["spec"]

    assert spec["concurrencyPolicy"] == "Forbid"
    assert spec["startingDeadlineSeconds"] > 0
    assert spec["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert spec["jobTemplate"]["spec"]["template"]["spec"]["restartPolicy"] == "Never"


def test_the_configuration_in_the_config_map_loads_and_listens_where_the_probes_ask(
    config_map: Any, daemon: Any, tmp_path: Path
) -> None:
    mount(config_map, tmp_path)

    configuration = load(tmp_path / "syncd.toml", {})

    (port,) = (port["containerPort"] for port in daemon["template"]["spec"]["containers"][0]["ports"])
    assert configuration.settings.http.listen == f"0.0.0.0:{port}"
    assert configuration.settings.http.allow_remote
    assert [job.name for job in configuration.jobs] == ["account-b"]


def test_workers_are_closed_have_no_state_and_may_be_interrupted(daemon: Any) -> None:
    worker = read_yaml(WORKERS / "deployment.yaml")["spec"]["template"]["spec"]
    (container,), ours = worker["containers"], daemon["template"]["spec"]

    assert container["args"] == ["work", *CONFIG_OPTION]
    assert container["securityContext"] == ours["containers"][0]["securityContext"]
    assert worker["securityContext"] == ours["securityContext"]
    assert worker["automountServiceAccountToken"] is False
    assert worker["serviceAccountName"] == read_yaml(WORKERS / "serviceaccount.yaml")["metadata"]["name"]
    assert {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")} == {"/tmp"}
    assert worker["terminationGracePeriodSeconds"] == 60
    assert set(read_yaml(WORKERS / "kustomization.yaml")["resources"]) == {
        path.name for path in WORKERS.glob("*.yaml") if path.name != "kustomization.yaml"
    }
    assert read_yaml(WORKERS / "kustomization.yaml")["images"] == read_yaml(KUBERNETES / "kustomization.yaml")["images"]


def test_workers_are_as_many_as_there_are_tasks() -> None:
    scaled, authentication = yaml.safe_load_all((WORKERS / "scaledobject.yaml").read_text())
    (trigger,) = scaled["spec"]["triggers"]

    assert scaled["spec"]["scaleTargetRef"]["name"] == read_yaml(WORKERS / "deployment.yaml")["metadata"]["name"]
    assert (scaled["spec"]["minReplicaCount"], trigger["type"]) == (0, "aws-sqs-queue")
    assert trigger["metadata"]["scaleOnInFlight"] == "true"
    assert trigger["authenticationRef"]["name"] == authentication["metadata"]["name"]


def test_the_fleet_is_the_daemon_with_a_volume_each_and_one_to_stand_by(daemon: Any) -> None:
    fleet, budget = yaml.safe_load_all((FLEET / "statefulset.yaml").read_text())
    own, base = fleet["spec"]["template"]["spec"], daemon["template"]["spec"]
    spread = own.pop("topologySpreadConstraints")
    (volume,) = fleet["spec"]["volumeClaimTemplates"]

    assert fleet["spec"]["replicas"] == 2
    assert fleet["spec"]["template"]["metadata"] == daemon["template"]["metadata"]
    assert own == {**base, "volumes": [item for item in base["volumes"] if item["name"] != "state"]}
    assert volume["metadata"]["name"] == "state"
    assert budget["spec"] == {"maxUnavailable": 1, "selector": fleet["spec"]["selector"]}
    assert spread[0]["labelSelector"] == fleet["spec"]["selector"]
    assert read_yaml(FLEET / "kustomization.yaml")["images"] == read_yaml(KUBERNETES / "kustomization.yaml")["images"]


@pytest.mark.needs_tool("kubectl")
def test_kustomize_puts_the_fleet_in_place_of_the_one_daemon(tool: Path) -> None:
    run = subprocess.run([tool, "kustomize", FLEET], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stderr
    kinds = [item["kind"] for item in yaml.safe_load_all(run.stdout)]
    assert kinds.count("StatefulSet") == 1
    assert not {"Deployment", "PersistentVolumeClaim"} & set(kinds)


@pytest.mark.needs_tool("kubernetes-validate")
def test_the_fleet_obeys_the_schema_of_kubernetes(tool: Path) -> None:
    command = [tool, "--strict", FLEET / "statefulset.yaml"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs_tool("kubernetes-validate")
@pytest.mark.parametrize("name", ["deployment.yaml", "serviceaccount.yaml"])
def test_a_manifest_of_workers_obeys_the_schema_of_kubernetes(name: str, tool: Path) -> None:
    run = subprocess.run([tool, "--strict", WORKERS / name], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.needs_tool("kubernetes-validate")
@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_obeys_the_schema_of_kubernetes(name: str, tool: Path) -> None:
    run = subprocess.run([tool, "--strict", KUBERNETES / name], capture_output=True, text=True, check=False)

    assert run.returncode == 0, run.stdout + run.stderr
    assert "passed for resource" in run.stdout
