"""Which door answers the ports: Envoy where it can run, unless settings say otherwise."""

from importlib.util import find_spec
from typing import Literal

from balance_service import DISTRIBUTION
from balance_service.config import Settings, variable

# What is said to whoever cannot run Envoy.
WITHOUT = f"{variable('door')}=grpcio serves without Envoy"


def find_obstacle() -> str:
    """Why Envoy cannot run here; empty if it can."""
    if find_spec("pyvoy") is None or find_spec("envoy") is None:
        return (
            f"envoy needs the package pyvoy: pip install '{DISTRIBUTION}[envoy]', on Linux with "
            f"glibc 2.31 or macOS 15 on Apple silicon; {WITHOUT}"
        )
    from pyvoy._server import get_envoy_environ  # noqa: PLC0415 - it may not be installed

    if not {"LD_PRELOAD", "DYLD_INSERT_LIBRARIES"} & get_envoy_environ().keys():
        return f"envoy needs a Python with a shared library (libpython); {WITHOUT}"
    return ""


def choose(settings: Settings) -> Literal["envoy", "grpcio"]:
    """The door that settings name, or else Envoy where it can run."""
    if settings.door != "auto":
        return settings.door
    return "grpcio" if find_obstacle() else "envoy"


def find_faults(settings: Settings) -> dict[str, str]:
    """What keeps a worker from answering its ports as settings say, by environment variable.

    Args:
        settings: As `config.read` returns them.
    """
    faults: dict[str, str] = {}
    obstacle = find_obstacle()
    if settings.door == "envoy" and obstacle:
        faults[variable("door")] = obstacle
    elif settings.tls_certificate and choose(settings) != "envoy":
        faults[variable("tls_certificate")] = obstacle or f"needs {variable('door')}=envoy"
    if bool(settings.tls_key) != bool(settings.tls_certificate):
        rule = f"belongs to {variable('tls_certificate')}: set both or neither"
        faults[variable("tls_key")] = rule
    if settings.tls_client_ca and not settings.tls_certificate:
        faults[variable("tls_client_ca")] = f"needs {variable('tls_certificate')}"
    return faults
