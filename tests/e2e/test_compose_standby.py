"""How the standby of the try-out copies its primary."""

import os
import subprocess

import pytest

from rehearsals.servers import AS_USER, BIN, Postgres, give_to_postgres
from tests.standbys import Pair, caught_up
from tests.test_image import REPLICA

pytestmark = pytest.mark.xdist_group("standbys")


def test_standby_of_the_try_out_copies_the_primary_once(servers: Pair) -> None:
    folder = servers.folder / "compose"
    programs = folder / "programs"
    programs.mkdir(parents=True)
    started = programs / "postgres"
    started.write_text('#!/bin/sh\necho "started in $PGDATA"\n')
    started.chmod(0o755)
    password, data = folder / "password", folder / "data"
    password.write_text("none is asked for")
    # As Compose reads it.
    (script,) = (part.replace("$$", "$") for part in REPLICA["command"])
    environment = {
        "PATH": f"{programs}:{BIN}:{os.environ['PATH']}",
        "PGHOST": str(servers.primary.socket.parent),
        "PGUSER": "postgres",
        "PGDATA": str(data),
        "POSTGRES_PASSWORD_FILE": str(password),
    }
    (folder / "data.new").mkdir()  # Cut short before.
    for path in (folder, *folder.iterdir(), started):
        give_to_postgres(path)
    for _ in range(2):
        command = [*AS_USER, *REPLICA["entrypoint"], script]
        said = subprocess.run(
            command, env=environment, check=True, capture_output=True, cwd="/", timeout=120
        )
        assert said.stdout.decode() == f"started in {data}\n"
    made = Postgres(folder, existing=True)
    made.start()
    try:
        caught_up(servers.primary, made)
    finally:
        made.close()
