"""The routes of the Pi's site: endpoint → (an address, method, status: anonymous, read token, admin token, signed in)."""

from __future__ import annotations

from tests import web_data

Row = tuple[str, str, int, int, int, int]
A, P, NONE = web_data.ACTIVE, web_data.PREVIOUS, web_data.REFUSED
V1, MODELS, MANAGED = "/api/v1", "/api/v1/models", "/api/v1/model-management"


def page(path: str, signed_in: int = 200) -> Row:
    return path, "GET", 303, 303, 303, signed_in


def form(path: str, signed_in: int = 303) -> Row:
    return path, "POST", 303, 303, 303, signed_in


def reads(path: str, status: int = 200) -> Row:
    return path, "GET", 401, status, status, status


def changes(path: str, admin: int, method: str = "POST") -> Row:
    return path, method, 401, 403, admin, 403


PI: dict[str, Row] = {
    "overview": page("/"),
    "incidents": page("/incidents"),
    "incident": page("/incidents/1"),
    "incident_mark": form("/incidents/1/mark", 400),
    "incident_mute": form("/incidents/1/mute", 400),
    "mute_end": form("/mutes/99/end", 404),
    "models": page("/models"),
    "model": page(f"/models/wifi/{A}"),
    "model_validate": form(f"/models/wifi/{NONE}/validate", 404),
    "activate": form(f"/models/wifi/{P}/activate"),
    "challenge": form(f"/models/wifi/{A}/challenge", 409),
    "challenge_end": form("/agents/wifi/challenger/end"),
    "transfers": page("/transfers"),
    "trainer_look": form("/transfers/trainer", 200),
    "trainer_import": form("/transfers/import", 400),
    "agents": page("/agents"),
    "agent_pause": form("/agents/sshd/pause", 404),
    "agent_resume": form("/agents/wifi/resume"),
    "agent_change": page(f"/agents/wifi/change?version={P}", 303),
    "performance": page("/performance"),
    "measure": form(f"/models/wifi/{NONE}/measure", 404),
    "settings": page("/settings"),
    "budget": form("/settings/budget", 404),
    "notifications": page("/notifications"),
    "notify_test": form("/notifications/test", 409),
    "notify_retry": form("/notifications/retry"),
    "api_guide": page("/api-guide"),
    "api_openapi": reads(f"{V1}/openapi.json"),
    "api_status": reads(f"{V1}/status"),
    "api_verdicts": reads(f"{V1}/verdicts?limit=3"),
    "api_incidents": reads(f"{V1}/incidents"),
    "api_incidents_export": reads(f"{V1}/incidents/export"),
    "api_incident": reads(f"{V1}/incidents/1"),
    "api_mark": changes(f"{V1}/incidents/1/mark", 400),
    "api_unmark": changes(f"{V1}/incidents/1/mark", 200, "DELETE"),
    "api_marks": reads(f"{V1}/marks"),
    "api_labels": reads(f"{V1}/marks/labels"),
    "api_mutes": reads(f"{V1}/mutes"),
    "api_mute": changes(f"{V1}/mutes", 400),
    "api_unmute": changes(f"{V1}/mutes/99", 404, "DELETE"),
    "api_budgets": reads(f"{V1}/budgets"),
    "api_budget_set": changes(f"{V1}/budgets/wifi", 400, "PUT"),
    "api_budget_clear": changes(f"{V1}/budgets/wifi", 200, "DELETE"),
    "api_managed_models": reads(f"{MANAGED}/models"),
    "api_current": reads(f"{MODELS}/current"),
    "api_info": reads(f"{MODELS}/wifi_{A}/info"),
    "api_managed_info": reads(f"{MANAGED}/models/{A}"),
    "api_load": changes(f"{MODELS}/{A}/load", 200),
    "api_activate": changes(f"{MODELS}/wifi_{A}/activate", 200),
    "api_deploy": changes(f"{MODELS}/wifi_{P}/deploy?wait_s=0", 202),
    "api_deactivate": changes(f"{MODELS}/wifi_{A}/deactivate", 200),
    "api_managed_deploy": changes(f"{MANAGED}/{P}/deploy?wait_s=0", 202),
    "api_rollback": changes(f"{MANAGED}/{P}/rollback?wait_s=0", 202),
    "api_wish": reads(f"{V1}/wishes/99", 404),
    "api_analyze": changes(f"{MODELS}/analyze", 400),
    "api_validate": changes(f"{MANAGED}/{NONE}/validate", 404),
    "api_compatibility": changes(f"{MANAGED}/{NONE}/validate-compatibility", 404),
    "api_validation_report": reads(f"{MANAGED}/{NONE}/validation-report", 404),
    "api_performances": reads(f"{MANAGED}/performance"),
    "api_performance": reads(f"{MANAGED}/performance/{A}"),
    "api_performance_report": reads(f"{MANAGED}/performance/{A}/report"),
    "api_check_drift": changes(f"{MANAGED}/performance/{NONE}/check-drift", 404),
    "api_performance_cleanup": changes(f"{MANAGED}/performance/cleanup", 200, "DELETE"),
    "api_transfers": reads(f"{MANAGED}/transfer-history"),
    "api_transfers_cleanup": changes(f"{MANAGED}/transfer-history", 200, "DELETE"),
    "api_trainer_models": reads(f"{MANAGED}/training-service/models", 409),
    "api_trainer_connection": reads(f"{MANAGED}/training-service/connection"),
    "api_import_latest": changes(f"{MANAGED}/import-latest", 409),
    "api_import": changes(f"{MANAGED}/import/wifi/{A}", 409),
    "api_agents": reads(f"{V1}/agents"),
    "api_agent": reads(f"{V1}/agents/wifi"),
    "api_set_model": changes(f"{V1}/agents/wifi/set-model", 400),
    "api_enable": changes(f"{V1}/agents/wifi/enable", 200),
    "api_disable": changes(f"{V1}/agents/wifi/disable", 200),
    "api_challenger": reads(f"{V1}/agents/wifi/challenger", 404),
    "api_challenger_set": changes(f"{V1}/agents/wifi/challenger", 400),
    "api_notifications": reads(f"{V1}/notifications"),
    "api_messages": reads(f"{V1}/notifications/messages"),
    "api_message": reads(f"{V1}/notifications/messages/99", 404),
    "api_notify_test": changes(f"{V1}/notifications/test", 409),
    "api_notify_retry": changes(f"{V1}/notifications/retry", 200),
    "api_challenger_end": changes(f"{V1}/agents/wifi/challenger", 200, "DELETE"),
}
LARGE = {"api_analyze": 8 * 1024 * 1024 + 1}
