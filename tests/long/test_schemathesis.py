"""The OpenAPI document is true to the service."""

import asyncio
import sys
from pathlib import Path

import pytest

from tests.http import BINDINGS
from tests.service import Service

HERE = Path(__file__).parent
MINUTES_MAX = 6
TOLD = tuple(binding for binding in BINDINGS if not binding.deprecated)


@pytest.mark.long
async def test_service_keeps_to_its_document(service: Service) -> None:
    """schemathesis, with all its checks: no 5xx, no answer that the document does not have."""
    admin = await service.admin()
    await admin.open()
    await admin.deposit("1000")
    process = await asyncio.create_subprocess_exec(
        Path(sys.executable).parent / "schemathesis",
        "--config-file",
        HERE / "schemathesis.toml",
        "run",
        f"{service.http.url}/openapi.json",
        "--checks=all",
        f"--header=Authorization: Bearer {admin.token.token}",
        # A stream has no end to check; it has tests of its own.
        "--exclude-operation-id=AccountService_WatchAccount",
        "--exclude-operation-id=EventService_WatchEvents",
        "--max-examples=2",
        "--seed=20",
        "--no-color",
        cwd=service.settings.data_dir,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    async with asyncio.timeout(MINUTES_MAX * 60):
        output, _ = await process.communicate()
    report = output.decode()
    assert process.returncode == 0, report
    assert f"Tested: {len(TOLD) - 1}" in report
