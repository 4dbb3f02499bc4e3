"""The Dockerfile's commands, carried out without Docker; and what they make, run as its user."""

import asyncio
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from pydantic import SecretStr

from balance_service.config import Settings
from balance_service.database import migrate
from rehearsals import stage

ROOT = Path(__file__).parent.parent.parent
NEEDED = ("unshare", "setpriv", "bash")
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        os.geteuid() != 0 or not all(shutil.which(program) for program in NEEDED),
        reason="only root may mount a file system for reading alone and be somebody else",
    ),
    # Said when the package of the embedded Postgres is imported, whose folder is not used here.
    pytest.mark.filterwarnings("ignore:XDG_RUNTIME_DIR"),
]
# Everything is there for reading alone, but for one folder in memory.
RUN = """
mount --make-rprivate / && mount --bind {image} {image}
mount -o remount,bind,ro {image} && mount -t tmpfs -o mode=1777 tmpfs {tmp}
# Python itself may be in a folder of root's.
mkdir {tmp}/python && mount --bind {python} {tmp}/python && mount -t tmpfs -o mode=0755 tmpfs {home}
mkdir -p {python} && mount --bind {tmp}/python {python}
umount {tmp}/python && rmdir {tmp}/python
mount -o remount,bind,ro /
exec setpriv --reuid={uid} --regid={gid} --clear-groups --no-new-privs --bounding-set=-all {command}
"""


def instructions() -> list[tuple[str, str]]:
    """What the Dockerfile says, line by line, without its comments."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    whole = re.sub(r"\s*\\\n\s*", " ", lines).splitlines()
    pairs = [line.partition(" ") for line in whole if line]
    return [(name, rest) for name, _, rest in pairs]


def build(image: Path) -> None:
    """Carries out the first stage, with a folder in place of the root of its file system."""
    said = instructions()
    second = [place for place, (name, _) in enumerate(said) if name == "FROM"][1]
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    source = image / "src"
    source.mkdir()
    for name, rest in said[:second]:
        if name == "ENV":
            environment |= dict(pair.split("=", 1) for pair in shlex.split(rest))
        elif name == "COPY":
            *paths, target = rest.split()
            for path in paths:
                copy = shutil.copytree if (ROOT / path).is_dir() else shutil.copy
                copy(ROOT / path, source if target == "./" else source / target)
        elif name == "RUN":
            command = re.sub(r"(?<![\w.])/(opt|wheels)\b", rf"{image}/\1", rest)
            subprocess.run(
                ["bash", "-euc", command], cwd=source, env=environment, check=True, timeout=600
            )


def test_image_that_its_commands_make_serves_with_no_right_but_to_its_tmp() -> None:
    from rehearsals.servers import Postgres

    with tempfile.TemporaryDirectory(prefix="balance-image-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        image = folder / "image"
        (image / "tmp").mkdir(parents=True)
        build(image)
        # Of the tools that made it, nothing is left beside the service.
        assert not list((image / "opt" / "balance").rglob("site-packages/pip"))
        postgres = Postgres(folder / "postgres")
        try:
            postgres.start()
            settings = stage.choose_settings(folder, postgres.url, 2)
            migrate.up(postgres.url, settings.database_url.get_secret_value())
            _serve(image, settings, folder / "log")
        finally:
            postgres.close()


def _serve(image: Path, settings: Settings, log: Path) -> None:
    said = dict(reversed(instructions()))
    uid, gid = said["USER"].split(":")
    (program,), (command,) = (re.findall(r'"([\w-]+)"', said[key]) for key in ("ENTRYPOINT", "CMD"))
    assert (program, command) == ("balance-service", "serve")
    installed, environment = image / "opt/balance/bin" / program, _environment(settings, image)
    script = RUN.format(
        image=image,
        tmp=image / "tmp",
        python=sys.base_prefix,
        home=Path.home(),
        uid=uid,
        gid=gid,
        command=f"{installed} {command}",
    )
    with log.open("wb") as written:
        serving = subprocess.Popen(
            ["unshare", "--mount", "bash", "-euc", script], env=environment, stderr=written
        )
    try:
        asyncio.run(stage.wait_until_serving(f"127.0.0.1:{settings.grpc_port}"))
        subprocess.run([installed, "health"], env=environment, check=True, timeout=60)
        user = Path(f"/proc/{serving.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{uid}\s+{uid}", user, re.MULTILINE)
    finally:
        serving.terminate()
        ended = serving.wait(stage.STOPPING_SECONDS_MAX)
    told = log.read_text()
    assert ended == 0, told
    assert "Read-only" not in told


def _environment(settings: Settings, image: Path) -> dict[str, str]:
    """What the image sets, and what its operator does."""
    chosen = settings.model_copy(
        update={
            "development": False,
            "smtp_url": SecretStr("smtp://127.0.0.1:9"),
            "host": "0.0.0.0",
            "allow_plain_text": True,
            "door": "auto",
        }
    )
    return chosen.environment() | {"TMPDIR": str(image / "tmp"), "PYTHONDONTWRITEBYTECODE": "1"}
