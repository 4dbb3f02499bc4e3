"""Rules that hold for the whole repository, so that nobody has to remember them."""

import ast
import hashlib
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from balance_service import DISTRIBUTION
from balance_service._generated.balance.v1 import error_reason_pb2
from balance_service.calls import http
from balance_service.calls.refusals import TABLE
from balance_service.domain import errors
from balance_service.repositories import queries

ROOT = Path(__file__).parent.parent


def python_files(*folders: str) -> list[Path]:
    """The modules of some folders that are written by hand."""
    paths = {path for folder in folders for path in (ROOT / folder).rglob("*.py")}
    return sorted(path for path in paths if "_generated" not in path.parts)


SHIPPED = python_files("balance_service", "clients/python/balance_client")
SOURCES = [*SHIPPED, *python_files("benchmarks", "docs", "protos", "rehearsals", "tests")]
SQL_FILES = sorted((ROOT / "balance_service/repositories").glob("*.sql"))
PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "clients").glob("*/README.md")),
]
FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
# A list of many small things, which is read by looking up one of them.
LISTS = {
    "balance_service/calls/refusals.py",
    "balance_service/config.py",
    "balance_service/domain/errors.py",
}
LINE_CHARACTERS_MAX = {".proto": 100, ".sql": 110}
BANNED_MODULES = {"utils", "helpers", "common", "base", "manager", "misc"}
BANNED_WORDS = {
    r"\bTODO\b": "do it, or file it",
    r"\bFIXME\b": "do it, or file it",
    r"\bfloat\(.*(amount|balance|price)": "whole minor units",
    r"\bOFFSET\b": "a keyset",
    r"except:": "a named exception",
}
# How many queries of a file skip rows instead of seeking a key, and why they may.
OFFSETS = {
    "account_changes.sql": (1, "pages by number, as of every list; SKIP_MAX bounds them"),
    "accounts.sql": (3, "pages by number, which earlier callers ask for; SKIP_MAX bounds them"),
    "approvals.sql": (1, "pages by number, as of every list; SKIP_MAX bounds them"),
    "audit.sql": (2, "pages by number, as of every list; SKIP_MAX bounds them"),
    "catalogue.sql": (1, "pages by number, which earlier callers ask for; SKIP_MAX bounds them"),
    "checkpoints.sql": (2, "pages by number, as of every list; SKIP_MAX bounds them"),
    "entries.sql": (3, "pages by number, which earlier callers ask for; SKIP_MAX bounds them"),
    "entries.cluster.sql": (3, "as entries.sql"),
    "holds.cluster.sql": (1, "as holds.sql"),
    "holds.sql": (1, "pages by number, which earlier callers ask for; SKIP_MAX bounds them"),
    "movement_searches.sql": (2, "pages by number, as of every list; SKIP_MAX bounds them"),
    "schedules.sql": (2, "pages by number, as of every list; SKIP_MAX bounds them"),
    "webhook_deliveries.sql": (1, "pages by number, as of every list; SKIP_MAX bounds them"),
    "webhook_endpoints.sql": (2, "pages by number, as of every list; SKIP_MAX bounds them"),
    "users.sql": (2, "pages by number, which earlier callers ask for; SKIP_MAX bounds them"),
}


def name_of(path: Path) -> str:
    """A file's path within the repository."""
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", SOURCES, ids=name_of)
def test_source_is_of_readable_size_and_words(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX or name_of(path) in LISTS
    assert path.stem not in BANNED_MODULES
    if path != Path(__file__):  # Which lists them.
        for word, replacement in BANNED_WORDS.items():
            assert not re.search(word, text), f"{word}: {replacement}"
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or 0) - node.lineno + 1
            assert lines <= FUNCTION_LINES_MAX, f"{node.name} has {lines} lines"
    if text.strip():
        assert ast.get_docstring(tree), "a module says what it is for"


def imported(path: Path) -> set[str]:
    """The modules that a module imports, by their full names."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def is_entry_point(path: Path) -> bool:
    """Whether something other than an import runs a module: a shell, pytest or a package."""
    if path.stem in ("__init__", "__main__", "conftest") or path.stem.startswith("test_"):
        return True
    return '__name__ == "__main__"' in path.read_text(encoding="utf-8")


def test_every_module_is_imported_or_run() -> None:
    used = {name for path in SOURCES for name in imported(path)}
    # Scripts and the client's package are imported by their names without the folder.
    roots = ("clients/python/", "protos/", "docs/")
    for path in SOURCES:
        name = name_of(path)
        for root in roots:
            name = name.removeprefix(root)
        module = name.removesuffix(".py").replace("/", ".")
        assert module in used or is_entry_point(path), f"{name} is dead"


def test_only_programs_print() -> None:
    for path in SOURCES:
        text = path.read_text(encoding="utf-8")
        calls = [
            node
            for node in ast.walk(ast.parse(text))
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "print"
        ]
        # The command of a benchmark is its module's `main`, and mails may go to the terminal.
        program = is_entry_point(path) or "def main(" in text or path.name == "mail.py"
        assert program or not calls, path


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.name)
def test_rows_are_skipped_only_where_it_is_said_why(path: Path) -> None:
    count, reason = OFFSETS.get(path.name, (0, "none"))
    assert len(re.findall(r"\bOFFSET\b", path.read_text(encoding="utf-8"))) == count, reason


def test_lines_fit_a_screen() -> None:
    folders = ("balance_service/repositories", "migrations", "protos")
    for path in [path for folder in folders for path in (ROOT / folder).rglob("*")]:
        most = LINE_CHARACTERS_MAX.get(path.suffix)
        if most and "third_party" not in path.parts:
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                assert len(line) <= most, f"{name_of(path)}:{number}"


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: path.name)
def test_every_query_is_used_and_says_its_purpose(path: Path) -> None:
    module = path.with_name(path.name.split(".")[0]).with_suffix(".py")
    text = module.read_text(encoding="utf-8")
    used = set(re.findall(r'"(\w+)"', text))
    if "CHECKS" in text:
        used |= set(re.findall(r'^    "(\w+)":', text, re.MULTILINE))
    statements = queries.load(str(module))
    for name, body in (*statements.items(), *statements.on_cluster.items()):
        assert name in used, f"{name} is not used"
        assert body.startswith("-- "), f"{name} has no purpose line"


def test_sql_stays_in_sql_files() -> None:
    statement = re.compile(r'"(SELECT|INSERT|UPDATE|DELETE) [^"]*(FROM|INTO|SET) ')
    for path in SHIPPED:
        # Migrations and roles ask Postgres's own catalogue.
        if path.parent.name != "database":
            assert not statement.search(path.read_text(encoding="utf-8")), path


def test_environment_is_read_in_config_alone() -> None:
    # What starts a service for tests finds it by a variable, and gives it an environment.
    readers = {"balance_service/config.py", "clients/python/balance_client/testing/ephemeral.py"}
    for path in SHIPPED:
        if name_of(path) not in readers:
            assert "os.environ" not in path.read_text(encoding="utf-8"), path


def subclasses(kind: type[errors.Refusal]) -> set[type[errors.Refusal]]:
    return {kin for child in kind.__subclasses__() for kin in {child, *subclasses(child)}}


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
        for path in SHIPPED
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
    for path in (*SHIPPED, *PAGES):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"pip install\W+balance[-_](service|client)\b", text), path
        assert "balance-service[" not in text, path


def test_error_reasons_are_documented() -> None:
    page = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    for row in TABLE.values():
        assert f"\n## {row.reason}\n" in page, row.reason


def test_migrations_are_named_in_order() -> None:
    numbers = [int(path.name[:4]) for path in sorted((ROOT / "migrations").glob("*.sql"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_bundled_files_are_those_that_were_published() -> None:
    assets = ROOT / "balance_service/gateway/assets"
    table = (assets / "licences/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([\w.-]+\.(?:js|css)) .* ([0-9a-f]{64}) \|$", table, re.MULTILINE)
    assert len(rows) == 3
    for name, digest in rows:
        assert hashlib.sha256((assets / name).read_bytes()).hexdigest() == digest, name
