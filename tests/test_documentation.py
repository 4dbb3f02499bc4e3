"""The documentation agrees with the tree: its links lead somewhere, and what it names exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from balance_service.config import SECRETS, Settings, file_variable, variable

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "clients").glob("*/README.md"),
    ]
)
FOLDERS = (
    "balance_service", "benchmarks", "clients", "deploy", "docs", "migrations", "protos",
    "rehearsals", "tests",
)  # fmt: skip
# A reason of a refusal, which only looks like a setting, and a variable of the clients' tests.
NO_SETTING = {"BALANCE_OVERFLOW", "BALANCE_SERVICE_COMMAND"}


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"(?ms)^```.*?^```", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """What a link may lead to within a page: its headings, as GitHub names them, and its ids."""
    text = prose(page)
    headings = [
        re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        for heading in re.findall(r"^#+ (.+?)(?: \{#[\w-]+\})?$", text, re.MULTILINE)
    ]
    slugs = {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}
    return slugs | set(re.findall(r"(?:id=\"|name=\"|\{#)([\w-]+)", text))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue  # Elsewhere: what others publish is not for a test.
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor and linked.suffix == ".md":
            assert anchor in anchors(linked), target


def test_settings_that_pages_name_exist() -> None:
    settings = {variable(name) for name in Settings.model_fields} | NO_SETTING
    settings |= {file_variable(name) for name in SECRETS}
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            named = set(re.findall(r"\bBALANCE_[A-Z0-9_]+\b", page.read_text(encoding="utf-8")))
            assert named <= settings, page


def test_files_that_pages_name_exist() -> None:
    """In commands and in text alike; a path may leave out `balance_service/`."""
    packages = [path.name for path in (ROOT / "balance_service").iterdir() if path.is_dir()]
    folders = "|".join([*FOLDERS, *packages])
    named = re.compile(rf"(?<![\w./-])((?:{folders})/[\w./-]*\w)")
    for page in PAGES:
        for path in named.findall(re.sub(r"\]\([^)]*\)", "]", page.read_text(encoding="utf-8"))):
            places = (ROOT / path, ROOT / "balance_service" / path)
            assert any(place.exists() for place in places), f"{page}: {path}"


def test_decisions_are_listed_by_their_numbers_and_titles() -> None:
    decisions = ROOT / "docs" / "internals" / "decisions"
    listed = (decisions / "README.md").read_text(encoding="utf-8")
    pages = sorted(decisions.glob("0*.md"))
    assert pages
    for page in pages:
        number, _, title = page.read_text(encoding="utf-8").splitlines()[0][2:].partition(" ")
        assert page.name.startswith(f"{number}-")
        assert f"| [{number}]({page.name}) | {title} |" in listed


def test_bodies_that_pages_send_say_that_they_are_json() -> None:
    told = "content-type: application/json"
    sent = 0
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for command in re.findall(r"\bcurl [^\n]*(?:\\\n[^\n]*)*", text):
            if " -d " not in command:
                continue
            sent += 1
            assert told in command or ('"$json"' in command and f"json='{told}'" in text), command
    assert sent


def test_readme_tells_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    python = project["requires-python"].removeprefix(">=")
    assert f"Version {project['version']} · Python {python} or later" in readme


def test_schema_page_is_what_the_migrations_make() -> None:
    command = [sys.executable, "docs/generate_pages.py", "check", "schema"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
