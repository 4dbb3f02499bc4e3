"""What Envoy says of its connections and requests, asked at each worker's admin socket."""

import asyncio
import http.client
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.parser import text_string_to_metric_families

TIMEOUT_SECONDS = 2.0
# Of some hundred that Envoy keeps; `bootstrap` lets it keep no others than its HTTP figures.
SHOWN = {
    "envoy_http_downstream_cx_active": "Connections that are open.",
    "envoy_http_downstream_cx": "Connections that were accepted.",
    "envoy_http_downstream_rq_active": "Requests under way, those that wait to begin included.",
    "envoy_http_downstream_rq": "Requests that came, also those that never became calls.",
    "envoy_http_downstream_rq_xx": "Answers by the class of their HTTP status; gRPC's are 2xx.",
    "envoy_http_downstream_rq_header_timeout": "Requests whose head did not come in time.",
}
# By the names that Envoy has for them before it takes the class of a status out.
_FILTER = quote(r"downstream_(cx_active|cx_total|rq_active|rq_total|rq_header_timeout|rq_.xx)$")
_CLASS = "envoy_response_code_class"


class _UnixConnection(http.client.HTTPConnection):
    """HTTP to a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("envoy", timeout=TIMEOUT_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


async def collect(sockets: Mapping[str, Path]) -> Iterable[Metric]:
    """The figures of all workers' Envoys; a worker whose Envoy does not answer has none.

    Args:
        sockets: Admin sockets, by the numbers of workers.
    """
    asked = [asyncio.to_thread(_ask, path) for path in sockets.values()]
    texts = dict(zip(sockets, await asyncio.gather(*asked), strict=True))
    shown: dict[str, Metric] = {}
    for worker, text in texts.items():
        for family in text_string_to_metric_families(text):
            name = family.name.removesuffix("_total")
            if name in SHOWN:
                if name not in shown:
                    shown[name] = _make(name, family.type)
                _add(shown[name], family, worker)
    return shown.values()


def _ask(path: Path) -> str:
    connection = _UnixConnection(path)
    try:
        connection.request("GET", f"/stats/prometheus?filter={_FILTER}")
        return connection.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return ""
    finally:
        connection.close()


def labels_of(name: str) -> tuple[str, ...]:
    """The labels of a figure."""
    return ("worker", _CLASS) if name.endswith("_xx") else ("worker",)


def _make(name: str, kind: str) -> Metric:
    made = CounterMetricFamily if kind == "counter" else GaugeMetricFamily
    return made(name, SHOWN[name], labels=labels_of(name))


def _add(family: Metric, found: Metric, worker: str) -> None:
    for sample in found.samples:
        labels = [worker, *([sample.labels[_CLASS]] if _CLASS in sample.labels else [])]
        family.add_metric(labels, sample.value)  # type: ignore[attr-defined]
