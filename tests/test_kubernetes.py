"""The chart of deploy/helm and the manifests of deploy/kubernetes, which are made from it."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes_validate import utils as kubernetes

from balance_service.config import SECRETS, Settings, file_variable, variable
from balance_service.server import supervisor

ROOT = Path(__file__).parent.parent
CHART = ROOT / "deploy" / "helm" / "balance-service"
MANIFESTS = ROOT / "deploy" / "kubernetes"
HELM = shutil.which("helm", path=str(Path(sys.executable).parent)) or shutil.which("helm") or ""
# Of Kubernetes: the oldest that the chart is for, and the newest whose schemas are here.
VERSIONS = ["1.30", kubernetes.latest_version()]
KUBERNETES = f"--kube-version={VERSIONS[0]}"
# How each of the manifests is made from the chart.
MADE = {
    "migrations.yaml": ["--show-only=templates/migrations.yaml", "--set=migrations.hook=false"],
    "service.yaml": ["--set=migrations.enabled=false"],
}
EVERYTHING = [
    "--set=tls.secret=balance-tls,secrets.previous=true,autoscaling.enabled=true",
    "--set=operators.serviceMonitor.enabled=true,image.digest=sha256:" + "ab" * 32,
    "--set=settings.BALANCE_MAIL_FROM=no-reply@example.com,priorityClassName=high",
    '--set-json=networkPolicy.operators=[{"namespaceSelector":{}}]',
    '--set-json=imagePullSecrets=[{"name":"registry"}]',
    '--set-json=tolerations=[{"key":"balance","operator":"Exists"}]',
    "--set=service.type=LoadBalancer,podLabels.team=money,podAnnotations.note=text",
]  # fmt: skip

needs_helm = pytest.mark.skipif(not HELM, reason="helm is not installed")


def render(*arguments: str) -> str:
    """What the chart makes."""
    release = ["balance-service", str(CHART), "--namespace=balance", KUBERNETES]
    ended = subprocess.run(
        [HELM, "template", *release, *arguments], check=False, capture_output=True, timeout=60
    )
    if ended.returncode:
        raise ValueError(ended.stderr.decode())
    return ended.stdout.decode()


def read(text: str) -> list[dict[str, Any]]:
    return [each for each in yaml.safe_load_all(text) if each]


ALL = [each for path in sorted(MANIFESTS.glob("*.yaml")) for each in read(path.read_text())]
WORKLOADS = [each for each in ALL if each["kind"] in ("Deployment", "Job")]


def one(kind: str, name: str = "balance-service") -> dict[str, Any]:
    (found,) = [each for each in ALL if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def pod(workload: dict[str, Any]) -> dict[str, Any]:
    spec: dict[str, Any] = workload["spec"]["template"]["spec"]
    return spec


def container(workload: dict[str, Any]) -> dict[str, Any]:
    (only,) = pod(workload)["containers"]
    assert "initContainers" not in pod(workload)
    found: dict[str, Any] = only
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_manifests_are_valid(version: str) -> None:
    for manifest in ALL:
        kubernetes.validate(manifest, version, strict=True)


@needs_helm
@pytest.mark.parametrize("name", MADE)
def test_manifests_are_made_from_the_chart(name: str) -> None:
    assert (MANIFESTS / name).read_text(encoding="utf-8") == render(*MADE[name])


@needs_helm
def test_everything_that_the_chart_can_make_is_valid() -> None:
    made = read(render(*EVERYTHING))
    kinds = {each["kind"] for each in made}
    assert {"HorizontalPodAutoscaler", "ServiceMonitor", "Job", "NetworkPolicy"} <= kinds
    for manifest in made:
        if manifest["kind"] != "ServiceMonitor":
            kubernetes.validate(manifest, VERSIONS[0], strict=True)
    (deployment,) = [each for each in made if each["kind"] == "Deployment"]
    variables = {each["name"]: each["value"] for each in container(deployment)["env"]}
    assert variables["BALANCE_ALLOW_PLAIN_TEXT"] == "false"
    assert variables["BALANCE_TLS_KEY"].startswith("/run/balance-tls/")
    assert container(deployment)["image"] == f"balance-service@sha256:{'ab' * 32}"
    ended = subprocess.run(
        [HELM, "lint", "--strict", KUBERNETES, CHART], check=False, capture_output=True, timeout=60
    )
    assert ended.returncode == 0, ended.stdout.decode()


@needs_helm
@pytest.mark.parametrize(
    "value",
    [
        "replicas=0",
        "image.tag=latest",
        "settings.BALANCE_SECRET=in-a-manifest",
        "settings.BALANCE_DRAIN_SECONDS=600",
        "drain.pauseSeconds=0",
        "misspelt=true",
    ],
)
def test_value_that_would_do_harm_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=re.split("[.=]", value)[-2]):
        render(f"--set-string={value}" if "settings" in value else f"--set={value}")


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each["kind"])
def test_pods_may_do_no_more_than_they_need(workload: dict[str, Any]) -> None:
    assert pod(workload)["automountServiceAccountToken"] is False
    assert pod(workload)["enableServiceLinks"] is False
    assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod(workload))
    user = pod(workload)["securityContext"]
    dockerfile = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert f"USER {user['runAsUser']}" in dockerfile
    assert user["runAsNonRoot"] is True
    assert user["seccompProfile"] == {"type": "RuntimeDefault"}
    context = container(workload)["securityContext"]
    assert context["allowPrivilegeEscalation"] is False
    assert context["readOnlyRootFilesystem"] is True
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert {"cpu", "memory"} <= set(container(workload)["resources"]["requests"])
    assert "memory" in container(workload)["resources"]["limits"]
    places = {mount["mountPath"] for mount in container(workload)["volumeMounts"]}
    assert places == {"/run/balance", "/tmp"}
    namespace = one("Namespace", "balance")["metadata"]["labels"]
    assert namespace["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda each: each["kind"])
def test_secrets_are_files_and_the_rest_are_settings(workload: dict[str, Any]) -> None:
    variables = {each["name"]: each["value"] for each in container(workload)["env"]}
    files = {file_variable(name) for name in SECRETS}
    operators = {"BALANCE_OPERATORS_HOST", "BALANCE_OPERATORS_PORT"}
    assert set(variables) <= {variable(name) for name in Settings.model_fields} | files | operators
    assert not set(variables) & {variable(name) for name in SECRETS}
    mounted = {
        f"/run/balance/{item['path']}"
        for volume in pod(workload)["volumes"]
        for source in volume.get("projected", {}).get("sources", [volume])
        if "secret" in source
        for item in source["secret"]["items"]
    }
    assert mounted == {path for name, path in variables.items() if name in files}


def test_owner_url_is_for_migrations_alone() -> None:
    assert "owner-database-url" in str(pod(one("Job", "balance-service-migrations")))
    assert "owner" not in str(one("Deployment"))


def test_pod_has_the_time_that_it_needs_to_stop() -> None:
    deployment = one("Deployment")
    variables = {each["name"]: each["value"] for each in container(deployment)["env"]}
    drain_seconds = float(variables["BALANCE_DRAIN_SECONDS"]) + supervisor.KILL_AFTER_SECONDS
    pause_seconds = container(deployment)["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod(deployment)["terminationGracePeriodSeconds"] > pause_seconds + drain_seconds
    assert deployment["spec"]["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert one("PodDisruptionBudget")["spec"]["maxUnavailable"] < deployment["spec"]["replicas"]


def test_services_policies_and_probes_meet_the_pods() -> None:
    deployment = one("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"]: port["containerPort"] for port in container(deployment)["ports"]}
    variables = {each["name"]: each["value"] for each in container(deployment)["env"]}
    assert ports == {
        name: int(variables[f"BALANCE_{name.upper()}_PORT"])
        for name in ("grpc", "http", "operators")
    }
    services = [each["spec"] for each in ALL if each["kind"] == "Service"]
    budget, policy = one("PodDisruptionBudget")["spec"], one("NetworkPolicy")["spec"]
    for selector in (
        *(spec["selector"] for spec in services),
        budget["selector"]["matchLabels"],
        policy["podSelector"]["matchLabels"],
        deployment["spec"]["selector"]["matchLabels"],
    ):
        assert selector.items() <= labels.items()
    # A Service of the calls does not lead to the operators' port.
    reached = [{port["targetPort"] for port in spec["ports"]} for spec in services]
    assert reached == [{"grpc", "http"}, {"grpc"}, {"operators"}]
    (ingress,) = policy["ingress"]
    assert {port["port"] for port in ingress["ports"]} == {"grpc", "http"}
    assert set(policy["policyTypes"]) == {"Ingress", "Egress"}
    probed = [
        container(deployment)[f"{kind}Probe"]["httpGet"]
        for kind in ("startup", "readiness", "liveness")
    ]
    assert {each["port"] for each in probed} == {"operators"}
    assert [each["path"] for each in probed] == ["/readyz", "/readyz", "/livez"]
    # The migrations' pods are reached by nobody.
    job = one("Job", "balance-service-migrations")["spec"]["template"]["metadata"]["labels"]
    assert not budget["selector"]["matchLabels"].items() <= job.items()


def test_chart_has_the_version_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text(encoding="utf-8"))
    assert chart["version"] == chart["appVersion"] == project["version"]
    images = re.findall(r"image: \"(\S+)\"", (MANIFESTS / "service.yaml").read_text())
    assert images == [f"balance-service:{project['version']}"]
