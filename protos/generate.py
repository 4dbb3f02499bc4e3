"""Compiles protos/ into typed stubs for the service and for the Python client, and docs/errors.md.

protoc writes `from balance.v1 import x_pb2`, which cannot be imported from inside a package, and
`balance` is another project's name on PyPI; so that one prefix is rewritten after generation.
"""

import re
import shutil
import sys
import tempfile
from importlib import resources
from pathlib import Path

from grpc_tools import protoc

ROOT = Path(__file__).parent.parent
PACKAGES = {
    "balance_service._generated": ROOT / "balance_service/_generated",
    "balance_client._generated": ROOT / "clients/python/balance_client/_generated",
}
ERRORS_PAGE = ROOT / "docs/errors.md"
IMPORT = re.compile(r"^(from|import) balance\.v1\b", re.MULTILINE)
REFERENCE = re.compile(r"(?<![\w./\"'])balance\.v1\.(?=\w+_pb2)")


def includes() -> list[str]:
    """The include path: ours, then googleapis-common-protos, then protobuf's own."""
    google_api = next(iter(__import__("google.api").api.__path__))
    return [
        f"-I{ROOT / 'protos'}",
        f"-I{Path(google_api).parent.parent}",
        f"-I{resources.files('grpc_tools') / '_proto'}",
    ]


def compile_protos(arguments: list[str]) -> None:
    """Runs protoc over every .proto of ours."""
    sources = sorted(str(path) for path in (ROOT / "protos").rglob("*.proto"))
    if protoc.main(["protoc", *includes(), *arguments, *sources]) != 0:
        sys.exit("protoc failed")


def generate(package: str, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = str(folder)
    compile_protos(
        [
            f"--python_out={out}",
            f"--grpc_python_out={out}",
            f"--mypy_out=quiet:{out}",
            f"--mypy_grpc_out=quiet:{out}",
        ]
    )
    for path in [*folder.rglob("*.py"), *folder.rglob("*.pyi")]:
        text = IMPORT.sub(rf"\1 {package}.balance.v1", path.read_text())
        path.write_text(REFERENCE.sub(f"{package}.balance.v1.", text))
    for inner in [folder, folder / "balance", folder / "balance/v1"]:
        (inner / "__init__.py").write_text("")


def errors_page() -> str:
    """The reference of refusals, from the comments of the enum."""
    text = (ROOT / "protos/balance/v1/error_reason.proto").read_text()
    rows = []
    for comment, name in re.findall(
        r"((?:^  // .*\n)+)^  ERROR_REASON_(\w+) =", text, re.MULTILINE
    ):
        words = " ".join(line.strip().removeprefix("// ") for line in comment.splitlines())
        code, _, meaning = words.partition(". ")
        if name != "UNSPECIFIED":
            rows.append(f"| `{name}` | {code} | {meaning} |")
    head = (
        "# Refusals\n\n"
        "Made from `protos/balance/v1/error_reason.proto` by `make protos`.\n\n"
        "A refused call answers a `google.rpc.Status`. Its `ErrorInfo` has the domain `balance.v1`,"
        " one of these\nreasons, and the facts of the case as metadata; invalid fields come as"
        " `BadRequest`, a time to retry\nas `RetryInfo`, a message for people as `LocalizedMessage`"
        " (English, or Russian by `accept-language`).\nBranch on the reason, never on the message."
        " Whatever is refused has changed nothing.\n\n"
        "| reason | status | meaning |\n|---|---|---|\n"
    )
    return head + "\n".join(rows) + "\n"


def check() -> None:
    """Fails if what is committed is not what the protos make."""
    if ERRORS_PAGE.read_text() != errors_page():
        sys.exit("docs/errors.md is not up to date: run `make protos`")
    for package, folder in PACKAGES.items():
        with tempfile.TemporaryDirectory() as scratch:
            fresh = Path(scratch) / "stubs"
            generate(package, fresh)
            made, committed = (
                {
                    path.relative_to(tree): path.read_text()
                    for path in tree.rglob("*.py*")
                    if path.suffix in (".py", ".pyi")
                }
                for tree in (fresh, folder)
            )
            if made != committed:
                sys.exit(f"{folder.relative_to(ROOT)} is not up to date: run `make protos`")


if __name__ == "__main__":
    match sys.argv[1:]:
        case []:
            for name, target in PACKAGES.items():
                generate(name, target)
            ERRORS_PAGE.write_text(errors_page())
        case ["check"]:
            check()
        case ["image", file]:
            compile_protos(
                ["--include_imports", "--include_source_info", f"--descriptor_set_out={file}"]
            )
        case _:
            sys.exit("usage: generate.py [check | image FILE]")
