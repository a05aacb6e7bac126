"""The Pi's HTTP API as one table. Where two addresses are known for one thing, both are here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from flask import Flask
from flask.typing import ResponseReturnValue
from marshmallow import Schema

from inference.web import api_agents as agents
from inference.web import api_marks as marks
from inference.web import api_models as models
from inference.web import api_notify as tells
from inference.web import api_status as status
from inference.web.schemas import asked, figures
from inference.web.schemas import found as told
from inference.web.schemas import models as runs
from inference.web.schemas import notify as notes
from shared.web.openapi import Operation, add_operations

TITLE = "Pipit on the Pi"
ANALYZE_BYTES = 8 * 1024 * 1024
V1, MODELS, MANAGED = "/api/v1", "/api/v1/models", "/api/v1/model-management"
DAEMON, FOUND, SAID, RUNS, DOES, TRAINER, AGENTS, TELLS = (
    "The daemon",
    "What was found",
    "What you say of it",
    "Models",
    "Performance and drift",
    "Transfers and the trainer",
    "Agents",
    "Notifications",
)
VERSION = "<version>"
ONE_OF = "<int:incident_id>"


def add_api(app: Flask) -> None:
    """Attach the routes; all under /api/v1 but /metrics."""
    add_operations(app, OPERATIONS, TITLE)
    app.add_url_rule("/metrics", "metrics", status.metrics)


def _get(
    path: str, endpoint: str, view: Callable[..., ResponseReturnValue], tag: str, answer: Schema | None, **more: Any
) -> Operation:
    summary = (view.__doc__ or "").strip().splitlines()[0]
    return Operation("GET", path, endpoint, view, summary, tag, answer, **more)


def _do(
    method: str,
    path: str,
    endpoint: str,
    view: Callable[..., ResponseReturnValue],
    tag: str,
    answer: Schema,
    **more: Any,
) -> Operation:
    summary = (view.__doc__ or "").strip().splitlines()[0]
    return Operation(method, path, endpoint, view, summary, tag, answer, **more)


def _daemon() -> Iterable[Operation]:
    yield _get(f"{V1}/health", "api_health", status.health, DAEMON, told.Health(), is_public=True)
    yield _get(f"{V1}/status", "api_status", status.status, DAEMON, told.Status())


def _found() -> Iterable[Operation]:
    yield _get(f"{V1}/verdicts", "api_verdicts", status.verdicts, FOUND, told.Verdicts(), query=asked.VerdictQuery())
    yield _get(
        f"{V1}/incidents", "api_incidents", status.incidents, FOUND, told.Incidents(), query=asked.IncidentQuery()
    )
    yield _get(
        f"{V1}/incidents/export", "api_incidents_export", status.incidents_file, FOUND, told.Incidents(), query=asked.ExportQuery(),
        answers_as="text/csv",
    )  # fmt: skip
    yield _get(f"{V1}/incidents/{ONE_OF}", "api_incident", status.incident, FOUND, told.Incident(), also=(404,))


def _said() -> Iterable[Operation]:
    mark, gone = f"{V1}/incidents/{ONE_OF}/mark", {"also": (404,)}
    yield _get(f"{V1}/marks", "api_marks", marks.marks, SAID, told.Marks(), query=asked.MarkQuery())
    yield _get(f"{V1}/marks/labels", "api_labels", marks.labels, SAID, told.Labels())
    yield _do("POST", mark, "api_mark", marks.mark, SAID, told.Mark(), body=asked.MarkBody(), **gone)
    yield _do("DELETE", mark, "api_unmark", marks.unmark, SAID, told.Done(), **gone)
    yield _get(f"{V1}/mutes", "api_mutes", marks.mutes, SAID, told.Mutes(), query=asked.MuteQuery())
    yield _do("POST", f"{V1}/mutes", "api_mute", marks.mute, SAID, told.Mute(), body=asked.MuteBody(), status=201)
    yield _do("DELETE", f"{V1}/mutes/<int:mute_id>", "api_unmute", marks.unmute, SAID, told.Done(), **gone)
    yield _get(f"{V1}/budgets", "api_budgets", agents.budgets, SAID, told.Budgets())
    budget = f"{V1}/budgets/<agent_id>"
    yield _do("PUT", budget, "api_budget_set", agents.set_budget, SAID, told.Budget(), body=asked.BudgetBody(), **gone)
    yield _do("DELETE", budget, "api_budget_clear", agents.clear_budget, SAID, told.Budget(), **gone)


def _runs() -> Iterable[Operation]:
    serve: dict[str, Any] = {"query": asked.WaitQuery(), "body": asked.WhyBody(), "also": (202, 404, 409)}
    look: dict[str, Any] = {"query": asked.AgentQuery(), "also": (404, 409, 504)}
    yield _get(MODELS, "api_models", models.models, RUNS, runs.Models())
    yield _get(f"{MANAGED}/models", "api_managed_models", models.models, RUNS, runs.Models())
    yield _get(
        f"{MODELS}/current",
        "api_current",
        models.current,
        RUNS,
        runs.ModelInfo(),
        query=asked.AgentQuery(),
        also=(404, 409),
    )
    yield _get(f"{MODELS}/{VERSION}/info", "api_info", models.info, RUNS, runs.ModelInfo(), also=(404,))
    yield _get(f"{MANAGED}/models/{VERSION}", "api_managed_info", models.info, RUNS, runs.ModelInfo(), also=(404,))
    for end in ("load", "activate", "deploy"):
        yield _do("POST", f"{MODELS}/{VERSION}/{end}", f"api_{end}", models.deploy, RUNS, runs.Asked(), **serve)
    yield _do("POST", f"{MANAGED}/{VERSION}/deploy", "api_managed_deploy", models.deploy, RUNS, runs.Asked(), **serve)
    yield _do("POST", f"{MANAGED}/{VERSION}/rollback", "api_rollback", models.rollback, RUNS, runs.Asked(), **serve)
    yield _do(
        "POST", f"{MODELS}/{VERSION}/deactivate", "api_deactivate", models.deactivate, RUNS, told.Done(),
        query=asked.AgentQuery(), body=asked.WhyBody(), also=(404, 409),
    )  # fmt: skip
    yield _get(f"{V1}/wishes/<int:wish_id>", "api_wish", models.wish, RUNS, runs.Wish(), also=(404,))
    yield _do(
        "POST", f"{MODELS}/analyze", "api_analyze", models.analyze, RUNS, runs.Analysis(), query=asked.AnalyzeQuery(),
        body=asked.LogLine(many=True), also=(404, 409, 413, 504), max_bytes=ANALYZE_BYTES,
    )  # fmt: skip
    yield _do("POST", f"{MANAGED}/{VERSION}/validate", "api_validate", models.validate, RUNS, runs.Validation(), **look)
    yield _do(
        "POST", f"{MANAGED}/{VERSION}/validate-compatibility", "api_compatibility", models.compatibility, RUNS,
        runs.Compatibility(), body=asked.CompatibilityBody(), **look,
    )  # fmt: skip
    report = f"{MANAGED}/{VERSION}/validation-report"
    yield _get(report, "api_validation_report", models.validation_report, RUNS, runs.Validation(), **look)


def _does() -> Iterable[Operation]:
    base, one = f"{MANAGED}/performance", f"{MANAGED}/performance/{VERSION}"
    yield _get(base, "api_performances", models.performances, DOES, figures.Performances())
    yield _get(
        one,
        "api_performance",
        models.performance_of,
        DOES,
        figures.Performance(),
        query=asked.AgentQuery(),
        also=(404,),
    )
    yield _get(
        f"{one}/report", "api_performance_report", models.performance_report, DOES, figures.PerformanceReport(),
        query=asked.ReportQuery(), also=(404,),
    )  # fmt: skip
    yield _do(
        "POST", f"{one}/check-drift", "api_check_drift", models.check_drift, DOES, figures.Drift(), query=asked.AgentQuery(),
        also=(404, 409, 504),
    )  # fmt: skip
    yield _do(
        "DELETE", f"{base}/cleanup", "api_performance_cleanup", models.performance_cleanup, DOES, figures.Removed(),
        query=asked.DaysQuery(),
    )  # fmt: skip


def _trainer() -> Iterable[Operation]:
    fetch: dict[str, Any] = {"query": asked.WaitQuery(), "body": asked.WhyBody(), "also": (202, 404, 409, 502, 504)}
    history = f"{MANAGED}/transfer-history"
    yield _get(history, "api_transfers", models.transfers, TRAINER, runs.Transfers(), query=asked.TransferQuery())
    yield _do(
        "DELETE",
        history,
        "api_transfers_cleanup",
        models.transfers_cleanup,
        TRAINER,
        figures.Removed(),
        query=asked.DaysQuery(),
    )
    theirs = f"{MANAGED}/training-service"
    yield _get(
        f"{theirs}/models",
        "api_trainer_models",
        models.trainer_models,
        TRAINER,
        runs.TrainerModels(),
        also=(409, 502, 504),
    )
    yield _get(
        f"{theirs}/connection", "api_trainer_connection", models.trainer_connection, TRAINER, runs.TrainerConnection(),
        also=(409,),
    )  # fmt: skip
    yield _do(
        "POST", f"{MANAGED}/import-latest", "api_import_latest", models.import_latest, TRAINER, runs.Asked(), **fetch
    )
    yield _do(
        "POST", f"{MANAGED}/import/<path:model_path>", "api_import", models.import_one, TRAINER, runs.Asked(), **fetch
    )


def _agents() -> Iterable[Operation]:
    one, gone = f"{V1}/agents/<agent_id>", {"also": (404,)}
    yield _get(f"{V1}/agents", "api_agents", agents.agents, AGENTS, runs.Agents())
    yield _get(one, "api_agent", agents.agent, AGENTS, runs.Agent(), **gone)
    yield _do(
        "POST", f"{one}/set-model", "api_set_model", agents.set_model, AGENTS, runs.Asked(), query=asked.WaitQuery(),
        body=asked.SetModelBody(), also=(202, 404, 409),
    )  # fmt: skip
    yield _do("POST", f"{one}/enable", "api_enable", agents.enable, AGENTS, runs.Agent(), **gone)
    yield _do("POST", f"{one}/disable", "api_disable", agents.disable, AGENTS, runs.Agent(), **gone)
    beside = f"{one}/challenger"
    yield _get(beside, "api_challenger", agents.challenger, AGENTS, runs.Comparison(), **gone)
    yield _do(
        "POST", beside, "api_challenger_set", agents.set_challenger, AGENTS, told.Done(), body=asked.ChallengerBody(),
        also=(404, 409), status=202,
    )  # fmt: skip
    yield _do("DELETE", beside, "api_challenger_end", agents.end_challenger, AGENTS, told.Done(), **gone)


def _tells() -> Iterable[Operation]:
    base, again = f"{V1}/notifications", {"also": (202, 404, 409)}
    yield _get(base, "api_notifications", tells.notifications, TELLS, notes.Notifications())
    yield _get(f"{base}/messages", "api_messages", tells.messages, TELLS, notes.Messages(), query=notes.MessageQuery())
    yield _get(f"{base}/messages/<int:message_id>", "api_message", tells.message, TELLS, notes.Message(), also=(404,))
    yield _do(
        "POST", f"{base}/test", "api_notify_test", tells.test, TELLS, notes.Message(), query=notes.TestQuery(), **again
    )
    yield _do("POST", f"{base}/retry", "api_notify_retry", tells.retry, TELLS, notes.Retried())


OPERATIONS = tuple(
    operation for part in (_daemon, _found, _said, _runs, _does, _trainer, _agents, _tells) for operation in part()
)
