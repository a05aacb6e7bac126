"""The documents keep up with the code, and the repository speaks of nothing but the project."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
from pathlib import Path

import pytest

from shared import __version__
from shared.bundle import REASONS
from shared.setting import Known, known_settings

ROOT = Path(__file__).resolve().parent.parent
TEXT = {
    ".py",
    ".md",
    ".yaml",
    ".yml",
    ".toml",
    ".html",
    ".css",
    ".js",
    ".svg",
    ".json",
    ".lock",
    ".sh",
    ".conf",
    ".sql",
}
# Written in halves, so that this file passes its own test.
FORBIDDEN = [
    "/wo" + "rk/",
    "DES" + "IGN section",
    "DES" + "IGN.md",
    "FEAT" + "URES.md",
    "DETEC" + "TION.md",
    "SHIP" + "PING.md",
    "WIFI-" + "LOGS",
    "TEST" + "ING.md",
    "MEASURE" + "MENTS.md",
    "CONT" + "RACT.md",
    "STY" + "LE.md",
    "/tmp/" + "pipit/",
    "pypi" + ".org",
    "pytho" + "nhosted",
    "index" + "-url http",
    "anth" + "ropic",
    "founding " + "doc",
]
SETTINGS = ("trainer.config", "inference.config")
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md"))]


def tracked_files() -> list[Path]:
    """What git carries, or every file outside the virtual environment where this is no git checkout."""
    done = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode == 0 and done.stdout:
        return [ROOT / name for name in done.stdout.split("\0") if name and (ROOT / name).is_file()]
    return [path for path in ROOT.rglob("*") if path.is_file() and not {".venv", ".git"} & set(path.parts)]


def text_files() -> list[Path]:
    """The tracked files that people read."""
    named = {"Makefile", "Dockerfile", "run", ".gitignore"}
    return [path for path in tracked_files() if path.suffix in TEXT or path.name in named]


def test_no_file_speaks_of_anything_but_the_project() -> None:
    found = [
        f"{path.relative_to(ROOT)}: {word}"
        for path in text_files()
        for word in FORBIDDEN
        if word in path.read_text(encoding="utf-8", errors="replace")
    ]
    assert found == []


@pytest.mark.parametrize("name", ["trainer", "inference", "cluster", "test"])
def test_a_lock_holds_hashes_and_no_address(name: str) -> None:
    text = (ROOT / f"requirements-{name}.lock").read_text()
    assert "://" not in text
    pins = re.findall(r"^[a-z0-9_.-]+==", text, re.MULTILINE)
    assert len(pins) > 10
    assert len(re.findall(r"==[^\n]*\\\n +--hash=sha256:", text)) == len(pins)


def test_the_pi_installs_no_scikit_learn_and_no_pandas() -> None:
    text = (ROOT / "requirements-inference.lock").read_text()
    assert not re.findall(r"^(scikit-learn|scipy|pandas|joblib|paramiko)==", text, re.MULTILINE)


def test_the_locks_of_the_services_are_cuts_of_the_tested_one() -> None:
    pins = {name: pins_of(name) for name in ("trainer", "inference", "test")}
    assert pins["trainer"] <= pins["test"]
    assert pins["inference"] <= pins["test"]
    assert pins["trainer"] <= pins_of("cluster"), "a worker finds what the laptop finds only with the same libraries"


def pins_of(name: str) -> set[str]:
    """The name==version lines of a lock."""
    return set(re.findall(r"^([a-z0-9_.-]+==[^ \\]+)", (ROOT / f"requirements-{name}.lock").read_text(), re.MULTILINE))


def row(known: Known) -> str:
    """How docs/configuration.md shows a setting; the test prints the rows that are missing, ready to paste."""
    cells = [f"`{known.env}`", _shown(known.default), known.unit, known.allowed, known.doc]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _shown(default: object) -> str:
    text = f"{default:g}" if isinstance(default, float) else str(default)
    return "" if default in (None, (), "") else f"`{text}`"


def all_settings() -> list[Known]:
    """The settings of both services."""
    modules = [importlib.import_module(name) for name in SETTINGS]
    return [known for module in modules for known in known_settings(module.Settings, module.PREFIX).values()]


@pytest.mark.parametrize("known", all_settings(), ids=lambda known: known.env)
def test_every_setting_is_documented_as_it_is(known: Known) -> None:
    assert row(known) in (ROOT / "docs" / "configuration.md").read_text().splitlines()


def test_every_reason_for_a_refusal_is_documented() -> None:
    text = (ROOT / "docs" / "security.md").read_text()
    assert [code for code, meaning in REASONS.items() if f"| `{code}` | {meaning} |" not in text] == []


def test_no_document_names_a_setting_that_is_gone() -> None:
    settings = {known.env: known.secret for known in all_settings()}
    names = set(settings) | {f"{name}_FILE" for name, secret in settings.items() if secret}
    for module in SETTINGS:
        loaded = importlib.import_module(module)
        names |= {loaded.PREFIX + name.upper() for name in getattr(loaded.Settings, "NO_EFFECT", {})}
    for document in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        named = set(re.findall(r"\b((?:TRAINING|INFERENCE)_[A-Z0-9_]+)\b", document.read_text(encoding="utf-8")))
        assert sorted(named - names) == [], document.name


@pytest.mark.parametrize("document", PAGES, ids=lambda p: p.name)
def test_every_link_inside_the_repository_leads_somewhere(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text(encoding="utf-8"))
    inside = [link for link in links if "://" not in link and not link.startswith("mailto:")]
    assert [link for link in inside if not (document.parent / link).exists()] == []


def anchors(document: Path) -> set[str]:
    """The names under which a page's headings can be linked to."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", PAGES, ids=lambda p: p.name)
def test_every_link_to_a_heading_leads_to_one(document: Path) -> None:
    links = re.findall(r"\]\(([^)#\s:]*)#([^)\s]+)\)", document.read_text(encoding="utf-8"))
    places = [(document.parent / page if page else document, anchor) for page, anchor in links]
    assert [(page.name, anchor) for page, anchor in places if anchor not in anchors(page)] == []


@pytest.mark.parametrize("document", PAGES, ids=lambda p: p.name)
def test_every_file_that_a_page_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = re.findall(r"`((?:bench|deploy|docs|examples|inference|shared|tests|trainer)/[\w./-]*\w)/?`", text)
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_leads_to_every_page() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in (ROOT / "docs").glob("*.md") if f"(docs/{page.name})" not in text] == []


def test_every_message_of_the_troubleshooting_page_is_one_that_pipit_says() -> None:
    files = [path for path in text_files() if path.relative_to(ROOT).parts[0] in {"shared", "trainer", "inference"}]
    source = "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)
    said = re.sub(r"\"\s*\n\s*f?\"", "", source)  # a message over several lines
    rows = [row for row in (ROOT / "docs/troubleshooting.md").read_text().splitlines() if row.startswith("| ")]
    told = [code for row in rows for code in re.findall(r"`([^`]+)`", row.split("|")[1])]
    ours = [code for code in told if not code.startswith(("pipit-", "…"))]
    assert len(ours) > 15
    assert [code for code in ours if code not in said] == []


def test_the_changelog_begins_with_the_release_that_this_is() -> None:
    entries = re.findall(r"^## (\S+), (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert entries[0][0] == __version__
    assert [day for _, day in entries if not re.fullmatch(r"\d{4}-\d\d-\d\d|not yet released", day)] == []
    kept = {folder.name.removeprefix("v") for folder in (ROOT / "tests/data/bundles").iterdir()}
    assert [release for release in kept if not any(number.startswith(release) for number, _ in entries)] == []


def test_every_make_target_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)
    assert phony
    assert [name for name in phony.group(1).split() if not re.search(rf"^{name}:.*## \S", text, re.MULTILINE)] == []


def test_every_room_of_the_code_is_on_the_map() -> None:
    """docs/development.md says of each folder what the folder says of itself."""
    rooms = [place for name in ("trainer", "inference", "shared") for place in (ROOT / name).glob("*/__init__.py")]
    told = (ROOT / "docs" / "development.md").read_text(encoding="utf-8")
    missing = [
        place.parent.relative_to(ROOT).as_posix()
        for place in rooms
        if f"| `{place.parent.relative_to(ROOT).as_posix()}/` | {ast.get_docstring(ast.parse(place.read_text()))} |"
        not in told
    ]
    assert len(rooms) > 3
    assert missing == []
