"""What every test may ask for: real servers, the fault level, and the table of real parts at the end of the run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.arm.machine import find_arm
from tests.dask_server import DaskCluster, find_dask
from tests.postgres_server import PostgresServer, find_postgres
from tests.rsyslog_server import find_relp, find_rsyslog
from tests.services import MissingPartError, Part, RedisServer, find, find_redis, running
from tests.sshd_server import SshdServer, find_sshd

# part → how it is found. REAL_PARTS uses these names.
FINDERS: dict[str, Callable[[], Part]] = {
    "postgres": find_postgres,
    "redis": find_redis,
    "sshd": find_sshd,
    "ssh-keygen": lambda: _with_version_of(find("ssh-keygen", "ssh-keygen", "openssh-client", "-?"), "ssh"),
    "chromium": lambda: find("chromium", "chromium", "chromium chromium-driver", "--version"),
    "rsyslog": find_rsyslog,
    "rsyslog-relp": find_relp,
    "systemd": lambda: find("systemd", "systemd-analyze", "systemd", "--version"),
    "dask": find_dask,
    "promtool": lambda: find("promtool", "promtool", "prometheus", "--version"),
    "arm64": find_arm,
}
NOT_IN_ALL = {"arm64"}  # make arm-test prepares it and says so; `make test` alone cannot
# fixture → part, for the count of tests in the closing table.
FIXTURES = {
    "postgres": "postgres",
    "own_postgres": "postgres",
    "redis_server": "redis",
    "own_redis": "redis",
    "sshd": "sshd",
    "own_sshd": "sshd",
    "ssh_keygen": "ssh-keygen",
    "chromium": "chromium",
    "rsyslogd": "rsyslog",
    "collector": "rsyslog",
    "relp_collector": "rsyslog-relp",
    "dask": "dask",
    "promtool": "promtool",
    "systemd_analyze": "systemd",
    "pi_root": "sshd",
    "arm": "arm64",
}
_found: dict[str, Part] = {}
_missing: dict[str, str] = {}
_tests: Counter[str] = Counter()


def need(name: str) -> Part:
    """The real part, or the end of the test: failed if REAL_PARTS names it, skipped with the reason otherwise."""
    if name not in _found:
        try:
            _found[name] = FINDERS[name]()
        except MissingPartError as missing:
            _missing[name] = str(missing)
            asked = {name} if name in NOT_IN_ALL else {name, "all"}
            if asked & set(os.environ.get("REAL_PARTS", "").replace(" ", "").split(",")):
                pytest.fail(f"REAL_PARTS asks for it, but {missing}", pytrace=False)
            pytest.skip(str(missing))
    return _found[name]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real PostgreSQL for the run; take a database with `create_database()`. Do not stop it: see own_postgres."""
    with running(PostgresServer(need("postgres"))) as server:
        yield server


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL for this test alone, which it may stop and start."""
    with running(PostgresServer(need("postgres"))) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One real Redis for the run, empty at first. Use key names of your own."""
    with running(RedisServer(need("redis"))) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A Redis for this test alone, which it may stop and start."""
    with running(RedisServer(need("redis"))) as server:
        yield server


@pytest.fixture(scope="session")
def sshd() -> Iterator[SshdServer]:
    """One real OpenSSH server for the run. Make a folder of your own below `inbox`, or take own_sshd."""
    with running(SshdServer(need("sshd"))) as server:
        yield server


@pytest.fixture
def own_sshd() -> Iterator[SshdServer]:
    """An OpenSSH server with an empty inbox for this test alone, which it may stop and start."""
    with running(SshdServer(need("sshd"))) as server:
        yield server


@pytest.fixture(scope="session")
def dask() -> Iterator[DaskCluster]:
    """One real Dask scheduler with two workers for the run. Do not end them."""
    with running(DaskCluster(need("dask"))) as cluster:
        yield cluster


@pytest.fixture(scope="session")
def ssh_keygen() -> Path:
    """OpenSSH's ssh-keygen."""
    return need("ssh-keygen").program


@pytest.fixture(scope="session")
def chromium() -> Path:
    """Debian's Chromium; chromedriver lies beside it."""
    return need("chromium").program


@pytest.fixture(scope="session")
def rsyslogd() -> Path:
    """A real rsyslogd to start in the foreground."""
    return need("rsyslog").program


@pytest.fixture(scope="session")
def promtool() -> Path:
    """Prometheus' own checker of rules and metrics."""
    return need("promtool").program


@pytest.fixture(scope="session")
def faults() -> str:
    """How hard the fault tests try: "quick" (default) or "full" (FAULTS=full)."""
    level = os.environ.get("FAULTS", "quick")
    if level not in {"quick", "full"}:
        pytest.exit(f"FAULTS is quick or full, not {level!r}", returncode=2)
    return level


@pytest.fixture(scope="session")
def patient() -> None:
    """For tests that take minutes: they run where FAULTS=full or REAL_PARTS says so."""
    if os.environ.get("FAULTS") != "full" and not os.environ.get("REAL_PARTS"):
        pytest.skip("takes its time: FAULTS=full runs it")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    report = yield
    if report.when == "call" and not report.skipped:
        _tests.update({FIXTURES[name] for name in getattr(item, "fixturenames", ()) if name in FIXTURES})
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of a run in several processes hands in what it used."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["parts"] = {
            name: (part.name, str(part.program), part.version, part.how) for name, part in _found.items()
        }
        output["missing"], output["tests"] = dict(_missing), dict(_tests)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """The run's own process adds up what its workers used."""
    output = getattr(node, "workeroutput", {})
    for name, (part, program, version, how) in output.get("parts", {}).items():
        _found[name] = Part(part, Path(program), version, how)
    _missing.update(output.get("missing", {}))
    _tests.update(output.get("tests", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The table of real parts: a run that used none of them must not look like one that used all."""
    if not _found and not _missing:
        return
    terminalreporter.section("real parts")
    for name in FINDERS:
        if name in _found:
            part = _found[name]
            terminalreporter.write_line(f"{name:<12} {part.version:<14} {part.how:<27} {_tests[name]:>4} tests")
        elif name in _missing:
            terminalreporter.write_line(f"{name:<12} {'missing':<14} {_missing[name]}")
    if not hasattr(terminalreporter.config, "workerinput"):  # a worker's counts are in the run's own
        _keep_table()


def _keep_table() -> None:
    """Add the parts to the file that PARTS_FILE names, for whoever puts the tables of several runs together."""
    if path := os.environ.get("PARTS_FILE"):
        with Path(path).open("a", encoding="utf-8") as file:
            for name, part in _found.items():
                file.write(f"{name}\t{part.version}\t{part.how}\t{_tests[name]}\n")
            for name in _missing:
                file.write(f"{name}\tmissing\t-\t0\n")


def _with_version_of(part: Part, program: str) -> Part:
    """ssh-keygen does not tell its version; ssh, from the same package, does."""
    other = find(part.name, program, "openssh-client", "-V")
    return Part(part.name, part.program, other.version, part.how)
