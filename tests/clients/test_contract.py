"""The contract as a product: other languages compile it from this repository, and clients agree."""

import json
import os
import re
import shutil
import sys
import tomllib
from pathlib import Path

import pytest

import balance_client
from tests.clients.packages import GO, ROOT, TYPESCRIPT, fetched, run

BIN = Path(sys.executable).parent
PROTOS = ROOT / "protos"
# For each language, what its template needs besides buf, and what it then makes.
TEMPLATES = {
    "python": ("python", "balance/v1/account_pb2_grpc.py"),
    "go": ("go", "balancev1/account_grpc.pb.go"),
    "typescript": ("npx", "balance/v1/account_pb.ts"),
    "java": ("protoc-gen-grpc-java", "balance/v1/AccountServiceGrpc.java"),
}


def test_protoc_needs_nothing_but_the_repository(tmp_path: Path) -> None:
    files = sorted(str(path) for path in (PROTOS / "balance").rglob("*.proto"))
    out = ("--descriptor_set_out", str(tmp_path / "out"), "--include_imports")
    includes = (f"-I{PROTOS}", f"-I{PROTOS / 'third_party'}")
    protoc = (sys.executable, "-m", "grpc_tools.protoc")
    done = run(*protoc, *includes, *out, *files, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert b"google/rpc/status.proto" in (tmp_path / "out").read_bytes()


@pytest.mark.parametrize("language", TEMPLATES)
def test_buf_generates_by_the_template_of_each_language(language: str, tmp_path: Path) -> None:
    tool, made = TEMPLATES[language]
    path = f"{BIN}:{os.environ['PATH']}"
    if not shutil.which(tool, path=path):
        pytest.skip(f"there is no {tool} here")
    template = PROTOS / f"buf.gen.{language}.yaml"
    arguments = ("generate", "--template", str(template), "--output", str(tmp_path))
    fetched(run(BIN / "buf", *arguments, cwd=ROOT, env={"PATH": path}))
    assert (tmp_path / "build/stubs" / language / made).exists()


def test_templates_use_the_plugins_that_make_our_own_clients() -> None:
    used = r"[\w./-]+/cmd/protoc-gen-[\w-]+@v[\d.]+"
    ours, theirs = ((PROTOS / name).read_text() for name in ("go_client.py", "buf.gen.go.yaml"))
    assert len(re.findall(used, ours)) == 2
    assert re.findall(used, ours) == re.findall(used, theirs)
    wanted = json.loads((TYPESCRIPT / "package.json").read_text())["devDependencies"]
    plugin = f"@bufbuild/protoc-gen-es@{wanted['@bufbuild/protoc-gen-es']}"
    assert plugin in (PROTOS / "buf.gen.typescript.yaml").read_text()


def test_clients_have_the_version_of_the_service() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    python = tomllib.loads((ROOT / "clients/python/pyproject.toml").read_text())["project"]
    package = json.loads((TYPESCRIPT / "package.json").read_text())
    lock = json.loads((TYPESCRIPT / "package-lock.json").read_text())
    assert python["version"] == package["version"] == lock["version"] == version
    assert f'Version = "{version}"' in (GO / "version.go").read_text()
    assert f'version = "{version}"' in (TYPESCRIPT / "src/_generated/version.ts").read_text()


def test_services_have_one_name_in_every_language() -> None:
    client = balance_client.Client("localhost:1")
    python = {name for name in vars(client) if not name.startswith("_")}
    go = re.findall(r"^\t(\w+) balancev1\.", (GO / "services.go").read_text(), re.MULTILINE)
    typescript = re.findall(
        r"^  readonly (\w+):", (TYPESCRIPT / "src/_generated/services.ts").read_text(), re.MULTILINE
    )
    assert python == {name.lower() for name in go} == set(typescript)
    client.close()
