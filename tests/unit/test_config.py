"""Settings: three sources in order, every fault at once, secrets that stay secret."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from inference.config import load_settings as pi_settings
from shared.config import known_settings, load, setting
from shared.errors import ConfigError
from trainer.config import PREFIX, Settings, load_settings

DATA = Path(__file__).parent.parent / "data" / "settings"


@dataclass(frozen=True)
class Example:
    folder: Path = setting(Path("models"), "A folder.")
    port: int = setting(8001, "A port.", low=1, high=65535)
    budget: float = setting(0.15, "A number.", "incidents a week", low=0)
    url: str | None = setting(None, "A secret.", secret=True)
    programs: tuple[str, ...] = setting((), "A list.")
    debug: bool = setting(False, "A switch.")
    level: str = setting("INFO", "A choice.", choices=("DEBUG", "INFO"))
    warnings: tuple[str, ...] = field(default=())

    SECTIONS: ClassVar[dict[str, str]] = {"api.port": "port", "api.workers": "workers"}
    NO_EFFECT: ClassVar[dict[str, str]] = {"workers": "there is one process"}


def yaml_file(folder: Path, text: str) -> Path:
    file = folder / "settings.yaml"
    file.write_text(text)
    return file


def test_flags_win_over_the_environment_and_that_wins_over_the_file(tmp_path: Path) -> None:
    file = yaml_file(tmp_path, "port: 1\nbudget: 2\nfolder: from-file\n")
    example = load(Example, file, {"X_PORT": "3", "X_BUDGET": "4"}, {"port": 5, "budget": None}, "X_")
    assert (example.port, example.budget, example.folder) == (5, 4.0, Path("from-file"))


def test_every_type_reads_from_a_file_and_from_the_environment(tmp_path: Path) -> None:
    file = yaml_file(tmp_path, "programs: [hostapd, sshd]\ndebug: true\nlevel: debug\nurl: postgresql://x\n")
    from_file = load(Example, file, {}, {}, "X_")
    env = {"X_PROGRAMS": "hostapd, sshd", "X_DEBUG": "yes", "X_LEVEL": "Debug", "X_URL": "postgresql://x"}
    assert load(Example, None, env, {}, "X_") == from_file
    assert from_file.programs == ("hostapd", "sshd")
    assert from_file.level == "DEBUG"


def test_all_faults_are_reported_together_with_source_value_and_what_is_allowed(tmp_path: Path) -> None:
    file = yaml_file(tmp_path, "port: 99999\nfolder: [1]\nbugdet: 1\n")
    with pytest.raises(ConfigError) as caught:
        load(Example, file, {"X_DEBUG": "maybe", "X_PROT": "1", "X_BUDGET": "-1"}, {"port": "many"}, "X_")
    assert caught.value.faults == (
        f"{file}: port: 99999 is not a whole number from 1 to 65535",
        f"{file}: folder: [1] is not a path",
        f"{file}: bugdet is not a setting; did you mean budget?",
        "X_BUDGET: '-1' is not a number of at least 0 (incidents a week)",
        "X_DEBUG: 'maybe' is not true or false",
        "X_PROT is not a setting; did you mean X_PORT?",
        "--port: 'many' is not a whole number from 1 to 65535",
    )


@pytest.mark.parametrize("value", ["nan", "inf", "true", ""])
def test_a_number_is_a_finite_number(tmp_path: Path, value: str) -> None:
    with pytest.raises(ConfigError):
        load(Example, yaml_file(tmp_path, f"budget: {value or '[]'}\n"), {}, {}, "X_")


def test_a_secret_comes_from_a_file_of_its_own_and_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "dsn").write_text("postgresql://user:hunter2@db/logs\n")
    assert (
        load(Example, None, {"X_URL_FILE": str(tmp_path / "dsn")}, {}, "X_").url == "postgresql://user:hunter2@db/logs"
    )
    with pytest.raises(ConfigError) as caught:
        load(Example, yaml_file(tmp_path, "url: [hunter2]\n"), {}, {}, "X_")
    assert "hunter2" not in str(caught.value)


def test_a_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"X_URL_FILE: cannot read /nowhere/dsn: No such file"):
        load(Example, None, {"X_URL_FILE": "/nowhere/dsn"}, {}, "X_")


def test_an_empty_variable_is_not_given_except_where_nothing_is_allowed(tmp_path: Path) -> None:
    file = yaml_file(tmp_path, "url: postgresql://x\nport: 7\n")
    example = load(Example, file, {"X_PORT": "", "X_URL": ""}, {}, "X_")
    assert (example.port, example.url) == (7, None)


def test_sections_stand_for_settings_and_settings_without_effect_say_why(tmp_path: Path) -> None:
    example = load(Example, yaml_file(tmp_path, "api: {port: 9, workers: 4}\n"), {}, {}, "X_")
    assert example.port == 9
    assert len(example.warnings) == 1
    assert "api.workers: there is one process" in example.warnings[0]


def test_an_unknown_key_inside_a_section_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"api\.prot is not a setting; did you mean api\.port\?"):
        load(Example, yaml_file(tmp_path, "api: {prot: 9}\n"), {}, {}, "X_")


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1\n", "\x00"])
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    with pytest.raises(ConfigError, match=r"settings\.yaml"):
        load(Example, yaml_file(tmp_path, text), {}, {}, "X_")


def test_importing_the_settings_reader_stays_cheap() -> None:
    """The Pi daemon imports it: nothing of the trainer or the web may come along."""
    script = "import sys, shared.config; print(sorted({m.partition('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    for heavy in ("numpy", "click", "flask", "rich", "sklearn", "pandas"):
        assert f"'{heavy}'" not in loaded


# --- the trainer's own ------------------------------------------------------------------------------------------


def test_the_grouped_form_of_the_trainers_settings_loads_unchanged() -> None:
    settings = load_settings(DATA / "training_config.yaml", {}, {})
    assert settings.address == ("0.0.0.0", 8001)
    assert (settings.max_training_time, settings.max_memory_usage) == (3600, 4096)
    assert settings.log_file == Path("logs/training.log")
    named = [warning.split(": ")[1] for warning in settings.warnings]
    assert named == [
        "service.name", "service.version", "api.workers", "training.enable_gpu",
        "monitoring.enable_monitoring", "monitoring.prometheus_port",
    ]  # fmt: skip


def test_the_same_names_in_the_environment_load_unchanged() -> None:
    env = dict(line.split("=", 1) for line in (DATA / "dotenv").read_text().splitlines())
    settings = load_settings(None, env, {})
    assert settings.model_config_file == Path("config/model_config.yaml")
    assert settings.log_file == Path("logs/training.log")
    assert len(settings.warnings) == 7


def test_bind_wins_over_its_two_halves() -> None:
    settings = load_settings(None, {"TRAINING_BIND": "[::1]:9000", "TRAINING_API_PORT": "9001"}, {})
    assert settings.address == ("::1", 9000)
    assert "bind is set" in settings.warnings[0]


def test_one_half_of_the_address_keeps_the_other_at_its_default() -> None:
    assert load_settings(None, {"TRAINING_API_PORT": "9001"}, {}).address == ("127.0.0.1", 9001)


def test_debug_is_a_log_level() -> None:
    assert load_settings(None, {"TRAINING_DEBUG": "true"}, {}).log_level == "DEBUG"


def test_the_state_folder_is_below_home_and_home_is_looked_up_late(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings(None, {}, {}).state_dir == tmp_path / ".local/state/pipit-trainer"


def test_every_setting_has_a_sentence() -> None:
    for known in known_settings(Settings, PREFIX).values():
        assert known.doc.endswith("."), known.name


@pytest.mark.parametrize("start", ["whenever", "24", "1.5d", "yesterday", "h"])
def test_where_reading_begins_is_checked_before_a_model_arrives(start: str) -> None:
    with pytest.raises(ConfigError, match=r"INFERENCE_START: .* is not 24h, 7d, all, now or a date"):
        pi_settings(None, {"INFERENCE_START": start}, {})


@pytest.mark.parametrize("columns", ["zz", "mesage=msg", "host="])
def test_a_column_of_no_field_is_said_and_not_dropped(columns: str) -> None:
    with pytest.raises(ConfigError, match=r"INFERENCE_COLUMNS: .* is not field=column, the fields being id timestamp"):
        pi_settings(None, {"INFERENCE_COLUMNS": f"host=device,{columns}"}, {})


def test_columns_and_starts_that_are_right_are_taken() -> None:
    for start in ("24h", "7d", "all", "now", "2026-03-01", "2026-03-01T12:00:00Z"):
        assert pi_settings(None, {"INFERENCE_START": start}, {}).start == start
    named = pi_settings(None, {"INFERENCE_COLUMNS": "host=device, message=msg"}, {}).column_names
    assert named == {"host": "device", "message": "msg"}
