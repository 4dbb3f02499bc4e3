"""The clients of other languages as another project gets them: packed, and nothing else."""

import asyncio
import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
GO = ROOT / "clients/go"
GO_PATH = "balance.example/go"
TYPESCRIPT = ROOT / "clients/typescript"
TYPESCRIPT_NAME = "balance-ledger-client"
PACKAGES_OF_PAGES = ("@bufbuild/protobuf", "@connectrpc/connect", "@connectrpc/connect-web")
PROGRAMS = Path(__file__).parent
# Where a test's service listens instead.
README_TARGET = "127.0.0.1:50051"
UNREACHABLE = re.compile(
    r"(?i)dial tcp|no such host|i/o timeout|connection refused"
    r"|ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ETIMEDOUT"
)


def run(
    *command: str | Path, cwd: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """A command, with an environment besides this process's own."""
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | dict(env or {}),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def fetched(done: subprocess.CompletedProcess[str]) -> str:
    """The output of a command, where what it needs can be fetched."""
    if done.returncode and UNREACHABLE.search(done.stderr):
        pytest.skip(f"no registry: {done.stderr.strip().splitlines()[-1]}")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


async def tell(*command: str | Path, **env: str) -> list[str]:
    """Runs a program to its end; the lines that it prints."""
    done = await asyncio.to_thread(run, *command, cwd=PROGRAMS, env=env)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    return done.stdout.splitlines()


def page(language: str) -> str:
    """The programs of the documentation's page, which are one module."""
    name = {"go": "go", "ts": "typescript"}[language]
    text = (ROOT / f"docs/clients/{name}.md").read_text(encoding="utf-8")
    return "\n".join(re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text))


def guide(language: str, name: str) -> str:
    """The programs of a guide in a language, which are one module."""
    text = (ROOT / f"docs/guides/{name}.md").read_text(encoding="utf-8")
    programs = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", text)
    assert programs
    return "\n".join(programs)


def readme(language: str, package: Path, target: str) -> str:
    """The program of a package's README, for a service that listens elsewhere."""
    (program,) = re.findall(
        rf"(?ms)^```{language}\n(.*?)^```$", (package / "README.md").read_text(encoding="utf-8")
    )
    assert README_TARGET in program
    return str(program).replace(README_TARGET, target)


class GoProject:
    """A Go module that requires the client's alone, from a proxy of files.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        if not shutil.which("go"):
            pytest.skip("there is no Go here")
        self._folder = folder
        version = self._publish(folder / "proxy")
        proxies = fetched(run("go", "env", "GOPROXY", cwd=folder)).strip()
        self._env = {
            "GOPROXY": f"file://{folder / 'proxy'},{proxies}",
            "GONOSUMDB": GO_PATH,
            "GOFLAGS": "-mod=mod",
        }
        self._module = folder / "consumer"
        self._module.mkdir()
        self._go("mod", "init", "consumer")
        self._go("get", f"{GO_PATH}@{version}")

    def vet(self, name: str, source: str) -> None:
        """Compiles a package of the consumer's, and vets it."""
        package = self._module / name
        package.mkdir()
        (package / "package.go").write_text(source)
        self._go("vet", f"./{name}")

    def build(self, name: str, source: Path | str) -> Path:
        """A program of the consumer's, built and vetted.

        Args:
            name: Its name.
            source: Its file, or its text.
        """
        package = self._module / name
        if not (package / "program").exists():
            package.mkdir(exist_ok=True)
            text = source if isinstance(source, str) else source.read_text()
            (package / "main.go").write_text(text)
            self._go("vet", f"./{name}")
            self._go("build", "-o", str(package / "program"), f"./{name}")
        return package / "program"

    def test(self, name: str, source: str) -> str:
        """Runs tests of the consumer's; what they say.

        Args:
            name: Of their package.
            source: Their text.
        """
        package = self._module / name
        package.mkdir()
        (package / f"{name}_test.go").write_text(source)
        return fetched(
            run("go", "test", "-v", "-count=1", f"./{name}", cwd=self._module, env=self._env)
        )

    def vet_client(self) -> None:
        """Vets the client's own module, and holds it to gofmt."""
        assert fetched(run("gofmt", "-l", ".", cwd=GO)) == ""
        fetched(run("go", "vet", "./...", cwd=GO, env={"GOFLAGS": "-mod=readonly"}))

    def _go(self, *arguments: str) -> None:
        fetched(run("go", *arguments, cwd=self._module, env=self._env))

    @staticmethod
    def _publish(proxy: Path) -> str:
        """Puts the module into a proxy, as a version that is named after its content."""
        listed = run("git", "ls-files", "-co", "--exclude-standard", cwd=GO).stdout.split()
        contents = {name: (GO / name).read_bytes() for name in listed if (GO / name).exists()}
        digest = hashlib.sha256(repr(sorted(contents.items())).encode()).hexdigest()[:12]
        version = f"v0.0.0-test.x{digest}"
        at = proxy / GO_PATH / "@v"
        at.mkdir(parents=True)
        (at / f"{version}.info").write_text(json.dumps({"Version": version}))
        (at / f"{version}.mod").write_bytes(contents["go.mod"])
        with zipfile.ZipFile(at / f"{version}.zip", "w") as file:
            for name, content in contents.items():
                file.writestr(f"{GO_PATH}@{version}/{name}", content)
        return version


class TypeScriptProject:
    """A Node.js project that installs the client's package alone.

    Args:
        folder: Where it is made.
    """

    def __init__(self, folder: Path) -> None:
        if not shutil.which("npm"):
            pytest.skip("there is no Node.js here")
        source = folder / "source"
        ignored = shutil.ignore_patterns("node_modules", "dist")
        shutil.copytree(TYPESCRIPT, source, ignore=ignored)
        if (TYPESCRIPT / "node_modules").exists():
            (source / "node_modules").symlink_to(TYPESCRIPT / "node_modules")
        else:
            fetched(self._npm(source, "ci"))
        self._tools = source / "node_modules"
        packed = fetched(self._npm(source, "pack", "--json", "--pack-destination", str(folder)))
        (found,) = json.loads(packed[packed.index("[\n") :])
        self.tarball = folder / found["filename"]
        self._project = folder / "consumer"
        self._project.mkdir()
        (self._project / "package.json").write_text('{"type": "module"}')
        fetched(self._npm(self._project, "install", "--prefer-offline", str(self.tarball)))

    def contents(self) -> set[str]:
        """The files that the package holds."""
        with tarfile.open(self.tarball) as file:
            return {name.removeprefix("package/") for name in file.getnames()}

    def make_page(self) -> Path:
        """The folder of the project, with a page whose modules find the packages they import."""
        found = {}
        for package in (TYPESCRIPT_NAME, *PACKAGES_OF_PAGES):
            folder = self._project / "node_modules" / package
            exports = json.loads((folder / "package.json").read_text())["exports"]
            for name, files in exports.items():
                file = files.get("import") or files["default"]
                found[package + name[1:]] = f"/node_modules/{package}/{file}"
        imports = json.dumps({"imports": found})
        html = f'<!doctype html><script type="importmap">{imports}</script>'
        (self._project / "index.html").write_text(html)
        return self._project

    def build(self, name: str, source: Path | str) -> Path:
        """A program of the consumer's, with its types checked.

        Args:
            name: Its name.
            source: Its file, or its text.
        """
        program = self._project / f"{name}.js"
        if not program.exists():
            text = source if isinstance(source, str) else source.read_text()
            done = self.compile(name, text)
            assert done.returncode == 0, done.stdout
        return program

    def compile(self, name: str, text: str) -> subprocess.CompletedProcess[str]:
        """Compiles a program, as strictly as can be."""
        (self._project / f"{name}.ts").write_text(text)
        options = {
            "--module": "nodenext",
            "--target": "es2022",
            "--types": "node",
            "--typeRoots": str(self._tools / "@types"),
        }
        words = [word for option in options.items() for word in option]
        tsc = self._tools / ".bin/tsc"
        return run(tsc, "--strict", "--noEmitOnError", *words, f"{name}.ts", cwd=self._project)

    @staticmethod
    def _npm(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        quiet = ("--no-audit", "--no-fund", "--loglevel=error")
        return run("npm", *arguments, *quiet, cwd=folder)
