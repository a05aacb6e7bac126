"""The alert rules by Prometheus' own tests, and every query of the dashboard against a Prometheus that scrapes the real daemon."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import need
from tests.daemon_process import ROOT, Trained, daemon, environment, example_rows, fill, trained
from tests.postgres_server import PostgresServer
from tests.services import Part, Server, dies_with_parent, find, free_port, running, wait_until

__all__ = ["trained"]

CONFIG = ROOT / "deploy" / "prometheus"
DASHBOARD = ROOT / "deploy" / "grafana" / "dashboards" / "pipit.json"
ALERTS = "pipit-alerts.yml"


def test_the_scrape_configuration_and_the_rules_are_valid(promtool: Path) -> None:
    done = subprocess.run(
        [str(promtool), "check", "config", str(CONFIG / "prometheus.yml")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_speaks_when_it_should_and_is_silent_on_a_good_day(promtool: Path) -> None:
    line = [str(promtool), "test", "rules", "pipit-alerts.test.yml"]
    done = subprocess.run(line, cwd=CONFIG, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((CONFIG / ALERTS).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_every_alert_is_tested_both_ways() -> None:
    tests = [
        each
        for test in yaml.safe_load((CONFIG / "pipit-alerts.test.yml").read_text())["tests"]
        for each in test["alert_rule_test"]
    ]
    for rule in alert_rules():
        expected = [bool(each.get("exp_alerts")) for each in tests if each["alertname"] == rule["alert"]]
        assert {True, False} <= set(expected), rule["alert"]


def test_what_the_daemon_writes_is_prometheus_text(promtool: Path) -> None:
    from inference.metrics import Metrics

    metrics = Metrics()
    metrics.serving({"wifi": ("20260312_060000", 1.0)})
    metrics.alive(1.0, 2.0)
    metrics.bundles({("wifi", "good"): 1})
    done = subprocess.run(
        [str(promtool), "check", "metrics"], input=metrics.text(), capture_output=True, text=True, check=False
    )
    # Names that others rely on keep their form: a gauge that is called …_detected, a total that is a gauge.
    assert "error" not in done.stderr.lower(), done.stderr


class Prometheus(Server):
    """A real Prometheus with the shipped rules, scraping every second."""

    name = "prometheus"

    def __init__(self, part: Part, targets: dict[str, int]) -> None:
        super().__init__(part)
        config = yaml.safe_load((CONFIG / "prometheus.yml").read_text())
        config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        config["rule_files"] = [str(CONFIG / ALERTS)]
        for job in config["scrape_configs"]:
            job["static_configs"] = [{"targets": [f"127.0.0.1:{targets[job['job_name']]}"]}]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(config))

    def command(self) -> list[str]:
        """On loopback, with nothing kept."""
        options = {"config.file": self.folder / "prometheus.yml", "storage.tsdb.path": self.folder / "data",
                   "web.listen-address": f"127.0.0.1:{self.port}", "log.level": "error"}  # fmt: skip
        return [str(self.part.program), *(f"--{name}={value}" for name, value in options.items())]

    def ready(self) -> bool:
        """Its own word for it: the port opens before."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/-/ready", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def ask(self, query: str) -> list[Any]:
        """The instant answer to a query."""
        address = f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': query})}"
        with urllib.request.urlopen(address, timeout=10) as answer:
            told = json.load(answer)
        assert told["status"] == "success"
        return list(told["data"]["result"])


@pytest.fixture(scope="module")
def site(trained: Trained, postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    """A daemon that has judged the example's live log, its pages, the trainer's, and a Prometheus that scrapes them."""
    folder = tmp_path_factory.mktemp("monitored")
    dsn = postgres.create_database()
    rows = example_rows()
    moved = ((time.time() - 35) // 300 - rows[-1][1] // 300 - 1) * 300  # so that the last window is just over
    fill(dsn, [(row[0], row[1] + moved, *row[2:]) for row in rows])
    ports = {"pipit-pi": free_port(), "pipit-trainer": free_port()}
    settings = {"DATABASE_URL": dsn, "INBOX": trained.models, "ALLOWED_SIGNERS": trained.allowed_signers, "START": "all",
                "INTERVAL_S": "0.5", "BIND": f"127.0.0.1:{ports['pipit-pi']}"}  # fmt: skip
    trainer = environment(TRAINING_STATE_DIR=trained.allowed_signers.parent, TRAINING_MODELS_DIR=trained.models,
                          TRAINING_BIND=f"127.0.0.1:{ports['pipit-trainer']}")  # fmt: skip
    with daemon(folder / "pi", **settings) as pi:
        pi.start()
        line = [*dies_with_parent(), sys.executable, "-m"]
        pages = [subprocess.Popen([*line, "inference", "web"], cwd=ROOT, env=pi.env, stderr=subprocess.DEVNULL),
                 subprocess.Popen([*line, "trainer", "serve"], cwd=ROOT, env=trainer, stderr=subprocess.DEVNULL)]  # fmt: skip
        try:
            with running(Prometheus(find("prometheus", "prometheus", "prometheus", "--version"), ports)) as server:
                wait_until(lambda: len(server.ask("up == 1")) == 2, "both sites to be scraped", 60)
                wait_until(lambda: bool(server.ask("model_predictions_total > 500")), "the log to be judged", 90)
                wait_until(lambda: bool(server.ask("increase(model_predictions_total[1m])")), "two scrapes of it")
                yield server
        finally:
            for page in pages:
                page.terminate()
                page.wait(20)


def queries() -> list[tuple[str, str]]:
    """(panel, query) of the dashboard, the variables put in as Grafana would."""
    panels = json.loads(DASHBOARD.read_text())["panels"]
    found = []
    for panel in panels:
        for target in panel["targets"]:
            query = target["expr"].replace("$instance", ".*").replace("$__rate_interval", "1m")
            assert "$" not in query, query
            found.append((panel["title"], query))
    return found


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("patient", "promtool")
def test_every_query_of_the_dashboard_answers_on_a_real_prometheus(site: Prometheus) -> None:
    for panel, query in queries():
        wait_until(lambda query=query: bool(site.ask(query)), f"an answer for {panel}: {query}")  # type: ignore[misc]


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.usefixtures("patient", "promtool")
def test_every_metric_of_the_alerts_is_one_that_is_scraped(site: Prometheus) -> None:
    there = {each["metric"]["__name__"] for each in site.ask('{__name__=~".+"}')}
    wanted = {name for rule in alert_rules() for name in re.findall(r"\b((?:pipit|model)_[a-z_]+)", rule["expr"])}
    assert wanted - there <= {"pipit_trainer_shipments"}, "shipments are there once something was shipped"
    firing = {each["metric"]["alertname"] for each in site.ask('ALERTS{alertstate="firing"}')}
    assert firing <= {"PipitModelRefused"}, "a service that is well sets nothing off"


def test_promtool_and_prometheus_come_together() -> None:
    need("promtool")
    assert find("prometheus", "prometheus", "prometheus", "--version").program.exists()
