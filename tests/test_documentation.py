"""The documentation agrees with the tree: its links lead somewhere, and what it names exists."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from balance_service.config import Settings, variable

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    [
        *ROOT.glob("*.md"),
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "clients").glob("*/README.md"),
    ]
)
LINK = re.compile(r"\]\((?!https?:)([^)\s]+)\)")
FOLDERS = ("balance_service", "tests", "rehearsals", "benchmarks", "docs", "protos", "clients")
# A reason of a refusal, which only looks like a setting.
NO_SETTING = {"BALANCE_OVERFLOW"}


def anchors(page: Path) -> set[str]:
    """What links to a page's headings end with."""
    text = re.sub(
        r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL
    )
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_settings_that_pages_name_exist() -> None:
    settings = {variable(name) for name in Settings.model_fields} | NO_SETTING
    for page in PAGES:
        if page.name != "CHANGELOG.md":
            named = set(re.findall(r"\bBALANCE_[A-Z0-9_]+\b", page.read_text(encoding="utf-8")))
            assert named <= settings, page


def test_files_that_pages_name_exist() -> None:
    packages = [path.name for path in (ROOT / "balance_service").iterdir() if path.is_dir()]
    names = "|".join([*FOLDERS, *packages])
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for path in re.findall(rf"`((?:{names})/[\w./-]*)`", text):
            places = (ROOT / path, ROOT / "balance_service" / path)
            assert any(place.exists() for place in places), f"{page}: {path}"


def test_readme_tells_the_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    python = project["requires-python"].removeprefix(">=")
    assert f"Version {project['version']} · Python {python} or later" in readme


def test_schema_page_is_what_the_migrations_make() -> None:
    command = [sys.executable, "docs/generate.py", "check", "schema"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
