"""Alerts and the dashboard name metrics that exist, and pages that say what to do."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "deploy/observability/alerts.yaml"
DASHBOARD = ROOT / "deploy/observability/dashboard.json"
# Held to what a running service answers, by tests/e2e/test_operators_port.py.
PAGE = ROOT / "docs/reference/metrics.md"
_NAME = re.compile(r"\b(?:balance|rpc|db|envoy)_\w+")


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return list(group["rules"])


def expressions() -> Iterator[str]:
    for rule in rules():
        yield rule["expr"]
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def series() -> set[str]:
    """The names of all series: a histogram has three."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \|", PAGE.read_text(), re.MULTILINE)
    return {
        f"{name}{suffix}"
        for name, kind in rows
        for suffix in (("_bucket", "_sum", "_count") if kind == "histogram" else ("",))
    }


def labels() -> set[str]:
    cells = re.findall(r"^\| `\w+` \| \w+ \| ([^|]*) \|", PAGE.read_text(), re.MULTILINE)
    return {label for cell in cells for label in re.findall(r"`(\w+)`", cell)}


def test_metrics_that_are_asked_for_exist() -> None:
    known, known_labels = series(), labels()
    for expression in expressions():
        named = set(_NAME.findall(expression)) - known_labels
        assert named, expression
        assert named <= known, expression


def test_every_metric_is_on_the_dashboard_or_in_an_alert() -> None:
    shown = set(_NAME.findall(" ".join(expressions())))
    roots = {re.sub(r"_(bucket|sum|count)$", "", name) for name in shown}
    documented = set(re.findall(r"^\| `(\w+)`", PAGE.read_text(), re.MULTILINE))
    assert documented - roots - shown == {
        # Of the version, of a time that another metric is counted from, and of Envoy's own detail.
        "balance_build_info",
        "balance_exchange_rates_published_timestamp_seconds",
        "envoy_http_downstream_cx_total",
        "envoy_http_downstream_rq_total",
        "envoy_http_downstream_rq_xx_total",
        "envoy_http_downstream_rq_header_timeout_total",
    }


def test_every_alert_has_a_section_that_says_what_to_do() -> None:
    page = (ROOT / "docs/operating/metrics.md").read_text()
    sections = set(re.findall(r"^### (\w+)$", page, re.MULTILINE))
    alerts = [rule["alert"] for rule in rules()]
    assert sections == set(alerts)
    for rule in rules():
        assert (
            rule["annotations"]["runbook"] == f"docs/operating/metrics.md#{rule['alert'].lower()}"
        )
        assert rule["labels"]["severity"] in {"critical", "warning"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_accepts_alerts_and_what_the_dashboard_asks(tmp_path: Path) -> None:
    asked = [
        {"record": f"asked:{number}", "expr": _fill_in(expression)}
        for number, expression in enumerate(expressions())
    ]
    rules_of_dashboard = tmp_path / "dashboard.yaml"
    rules_of_dashboard.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    command = ["promtool", "check", "rules", str(ALERTS), str(rules_of_dashboard)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _fill_in(expression: str) -> str:
    """What Grafana makes of its variables."""
    return expression.replace("$__rate_interval", "5m").replace("$instance", ".*")
