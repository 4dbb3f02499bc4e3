"""Rules that hold for the whole repository, so that nobody has to remember them."""

import ast
import hashlib
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

import balance_client
from balance_service import DISTRIBUTION
from balance_service._generated.balance.v1 import error_reason_pb2
from balance_service.calls import http
from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.repositories import queries

ROOT = Path(__file__).parent.parent
PACKAGES = (ROOT / "balance_service", ROOT / "clients/python/balance_client")
SOURCES = sorted(
    path for package in PACKAGES for path in package.rglob("*.py") if "_generated" not in path.parts
)
SQL_FILES = sorted((ROOT / "balance_service/repositories").glob("*.sql"))
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
BANNED_MODULES = {"utils", "helpers", "common", "base", "manager", "misc"}
BANNED_WORDS = {
    r"\bTODO\b": "do it, or file it",
    r"\bFIXME\b": "do it, or file it",
    r"\bfloat\(.*(amount|balance|price)": "whole minor units",
    r"\bOFFSET\b": "a keyset",
    r"except:": "a named exception",
}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_source_is_of_readable_size_and_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX
    assert path.stem not in BANNED_MODULES
    for word, replacement in BANNED_WORDS.items():
        assert not re.search(word, text), f"{word}: {replacement}"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it is for"


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.name)
def test_every_query_is_used_and_says_its_purpose(path: Path) -> None:
    module = path.with_suffix(".py")
    text = module.read_text(encoding="utf-8")
    used = set(re.findall(r'"(\w+)"', text))
    if "CHECKS" in text:
        used |= set(re.findall(r'^    "(\w+)":', text, re.MULTILINE))
    for name, body in queries.load(str(module)).items():
        assert name in used, f"{name} is not used"
        assert body.startswith("-- "), f"{name} has no purpose line"


def test_sql_stays_in_sql_files() -> None:
    statement = re.compile(r'"(SELECT|INSERT|UPDATE|DELETE) [^"]*(FROM|INTO|SET) ')
    for path in SOURCES:
        if path.name != "migrate.py":
            assert not statement.search(path.read_text(encoding="utf-8")), path


def test_environment_is_read_in_config_alone() -> None:
    for path in SOURCES:
        if path.name != "config.py":
            assert "os.environ" not in path.read_text(encoding="utf-8"), path


def subclasses(kind: type[errors.Refusal]) -> set[type[errors.Refusal]]:
    return {found for child in kind.__subclasses__() for found in {child, *subclasses(child)}}


def test_every_refusal_has_a_reason_and_every_reason_a_refusal() -> None:
    assert set(TABLE) == subclasses(errors.Refusal) - {http.HttpRefusal}
    ours = {row.reason for row in TABLE.values()} | {"INTERNAL", "UNSPECIFIED"}
    documented = {
        value.name.removeprefix("ERROR_REASON_")
        for value in error_reason_pb2.DESCRIPTOR.enum_types_by_name["ErrorReason"].values
    }
    assert ours == documented
    assert all(row.russian for row in TABLE.values())


def test_every_refusal_is_raised_somewhere() -> None:
    text = "\n".join(
        path.read_text(encoding="utf-8")
        for path in SOURCES
        if path.parts[-2:] != ("calls", "refusals.py")
    )
    for refusal in TABLE:
        uses = re.findall(rf"(errors|http)\.{refusal.__name__}\b|\b{refusal.__name__}\(\(", text)
        assert uses, refusal


def test_every_setting_is_documented() -> None:
    from balance_service.config import Settings

    page = (ROOT / "docs/reference/settings.md").read_text(encoding="utf-8")
    for name in Settings.model_fields:
        assert f"| `BALANCE_{name.upper()}` |" in page, name


def test_distributions_are_named_as_they_can_be_installed() -> None:
    """`balance-service` on the package index is another project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["name"] == DISTRIBUTION == "balance-ledger-service"
    assert metadata.version(DISTRIBUTION) == project["version"]
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md"), ROOT / "clients/python/README.md"]
    for path in (*SOURCES, *pages):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install\W+balance[-_](service|client)\b", text), path
        assert "balance-service[" not in text, path


def test_error_reasons_are_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    for row in TABLE.values():
        assert f"\n## {row.reason}\n" in page, row.reason


def test_client_exports_what_it_says() -> None:
    for name in balance_client.__all__:
        assert hasattr(balance_client, name)
    from balance_client._generated.balance.v1 import account_pb2 as theirs
    from balance_service._generated.balance.v1 import account_pb2 as ours

    assert ours.DESCRIPTOR.serialized_pb == theirs.DESCRIPTOR.serialized_pb


def test_migrations_are_named_in_order() -> None:
    names = [path.name for path in sorted((ROOT / "migrations").glob("*.sql"))]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))


def test_bundled_files_are_those_that_were_published() -> None:
    assets = ROOT / "balance_service/gateway/assets"
    table = (assets / "licences/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+\.(?:js|css)) .* ([0-9a-f]{64}) \|$", table, re.MULTILINE)
    assert len(rows) == 3
    for name, digest in rows:
        assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == digest, name
