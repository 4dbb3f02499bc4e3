"""What workers measure outlives them, and is added up."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from balance_service.server.operators import figures
from balance_service.server.operators.folder import Folder, forget_gauges

PROGRAM = """
from balance_service.telemetry import metrics
metrics.worker_started()
metrics.look_at_work(serving=True, calls=3, streams=0, queued=0, commits=0)
metrics.call_ended("/balance.v1.X/Y", "OK", 0.003)
metrics.request_waited(20)
metrics.pass_on()
metrics.committed(["deposit", "deposit"], 1)
"""


def work(folder: Path) -> None:
    """What a worker does, in a process that ends without cleaning up."""
    environment = {"PROMETHEUS_MULTIPROC_DIR": str(folder), "PYTHONPATH": ":".join(sys.path)}
    program = f"{PROGRAM}\nimport os; os._exit(9)"
    assert (
        subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode
        == 9
    )


def new_folder(path: Path) -> Folder:
    folder = Folder(path / "temporary", path / "figures")
    for made in folder:
        made.mkdir()
    return folder


def read(folder: Folder) -> dict[str, float]:
    return {
        sample.name: sample.value
        for family in figures.merge(folder.list_figures())
        for sample in family.samples
        if sample.labels.get("le", "+Inf") == "+Inf"
    }


def test_worker_that_takes_the_place_of_another_goes_on_counting(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    places = [folder.make_figures(number) for number in range(2)]
    for place in places:
        work(place)
    assert read(folder)["balance_worker_starts_total"] == 2
    assert read(folder)["balance_calls_under_way"] == 6
    forget_gauges(places[0])
    assert read(folder)["balance_calls_under_way"] == 3
    work(places[0])
    found = read(folder)
    assert found["balance_worker_starts_total"] == 3
    assert found["balance_calls_under_way"] == 6
    assert found["balance_workers_serving"] == 2
    assert found["rpc_server_call_duration_seconds_count"] == 3
    assert found["rpc_server_call_duration_seconds_sum"] == pytest.approx(0.009)
    assert found["balance_queue_wait_seconds_sum"] == 60
    assert found["balance_movements_total"] == 6
    assert found["balance_replayed_commands_total"] == 3
    # However often workers are started again, there are no more files.
    assert len(folder.list_figures()) == 6


@pytest.mark.parametrize("content", [b"", b"\xff\xff\x00\x00", b"\x40\x00\x00\x00" + b"\xff" * 60])
def test_file_that_cannot_be_read_is_left_out(tmp_path: Path, content: bytes) -> None:
    folder = new_folder(tmp_path)
    work(folder.make_figures(0))
    (folder.make_figures(1) / "counter_worker.db").write_bytes(content)
    assert read(folder)["balance_worker_starts_total"] == 1


def test_newest_socket_of_a_worker_is_found(tmp_path: Path) -> None:
    folder = new_folder(tmp_path)
    temporary = folder.make_temporary(1)
    for name in ("envoy-b", "envoy-a"):
        (temporary / name).mkdir()
        (temporary / name / "s").touch()
    newest = temporary / "envoy-a" / "s"
    newest.touch()
    os.utime(newest, (2e9, 2e9))
    assert folder.find_sockets("s") == {"1": newest}
