"""From the bytes of an agent file to an AgentSpec: YAML, the schema, macros, patterns and references between entries."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import yaml
from marshmallow import ValidationError

from shared.agent import AgentSpec, EventSpec, FeatureSpec, HeartbeatSpec, Role, RuleSpec, Scored, SilenceSpec
from shared.agent_schema import AgentSchema
from shared.errors import ConfigError
from shared.patterns import expand, fault_of


def build(text: bytes, where: str) -> AgentSpec:
    """The whole way from bytes to an AgentSpec, or a ConfigError that lists all faults."""
    data = _read_yaml(text, where)
    faults: list[str] = []
    try:
        loaded: dict[str, Any] = AgentSchema().load(data)
    except ValidationError as error:
        faults = [f"{where}: {fault}" for fault in _flatten(error.messages, data)]
        # the patterns of what could be read are checked too, so that one run shows everything
        loaded = error.valid_data if isinstance(error.valid_data, dict) else {}
    said: list[str] = []
    spec = _spec(loaded, text, said.append, build_it=not faults)
    faults += [f"{where}: {fault}" for fault in said]
    if spec is not None and not faults:
        faults += [f"{where}: {fault}" for fault in _check_formulas(spec)]
    if faults or spec is None:
        raise ConfigError(f"agent file {where} has {len(faults)} fault(s); correct these entries:", tuple(faults))
    return spec


_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml reads ten times faster, where it is there


class _Loader(_FastLoader):  # type: ignore[misc]
    """Safe loading in which a key given twice is an error (the first would be lost without a word) and `on`, `no` are words."""

    yaml_implicit_resolvers = {  # noqa: RUF012  (how yaml has it); only true and false are booleans, as in YAML 1.2
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":bool") or first in "tTfF"]
        for first, resolvers in _FastLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, (list, dict)) or key in seen:
                raise yaml.MarkedYAMLError(problem=f"the key {key!r} is given twice", problem_mark=key_node.start_mark)
            seen.add(key)
        mapping: dict[Any, Any] = super().construct_mapping(node, deep)
        return mapping


def _read_yaml(text: bytes, where: str) -> Mapping[str, Any]:
    try:
        data = yaml.load(text.decode("utf-8"), Loader=_Loader)  # noqa: S506  (a SafeLoader with one check more)
    except UnicodeDecodeError as error:
        raise ConfigError(f"agent file {where}: byte {error.start} is not UTF-8; save the file as UTF-8") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"agent file {where} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(data, Mapping):
        raise ConfigError(f"agent file {where} holds no settings; it must begin with `name:`")
    return data


def _flatten(messages: Any, data: Any, path: str = "") -> list[str]:
    """marshmallow's nested messages as "events[3].name: what is wrong (value)"."""
    if isinstance(messages, Mapping):
        out: list[str] = []
        for key, inner in messages.items():
            step = f"[{key}]" if isinstance(key, int) else f".{key}"
            # for mappings marshmallow puts "key" or "value" between the entry and its messages
            between = key in ("key", "value") and not (isinstance(data, Mapping) and key in data)
            out += _flatten(inner, data if between else _at(data, key), path if between else path + step)
        return out
    shown = "" if data is None or isinstance(data, (Mapping, list)) else f" (value: {str(data)[:80]!r})"
    return [f"{path.lstrip('.') or 'file'}: {str(message).rstrip('.')}{shown}" for message in messages]


def _at(data: Any, key: Any) -> Any:
    try:
        return data[key]
    except (KeyError, IndexError, TypeError):
        return None


def _spec(data: dict[str, Any], text: bytes, fault: Callable[[str], None], build_it: bool) -> AgentSpec | None:
    """Macros, patterns and references between entries; `fault` is told what is wrong. None when not to be built."""
    macros = {str(k): str(v) for k, v in (data.get("macros") or {}).items()}

    def checked(pattern: str, path: str) -> str:
        expanded, unknown = expand(pattern, macros)
        for name in unknown:
            fault(f"{path}: the macro {{{name}}} is unknown or refers to itself (known: {', '.join(sorted(macros))})")
        wrong = None if unknown else fault_of(expanded)
        if wrong:
            fault(f"{path}: {wrong} (value: {pattern[:120]!r})")
        return expanded

    events = [
        _event(event, index, checked) for index, event in enumerate(data.get("events") or []) if isinstance(event, dict)
    ]
    generic = {name: checked(value, f"fields.{name}") for name, value in (data.get("fields_") or {}).items()}
    leaders = tuple(checked(value, f"leaders[{i}]") for i, value in enumerate(data.get("leaders") or []))
    _check_names(data, fault)
    if not build_it:
        return None
    return AgentSpec(
        name=data["name"],
        version=data["version"],
        title=data["title"],
        description=data["description"],
        programs=tuple(data["programs"]),
        roles=tuple(Role(r["name"], r["title"], tuple(r["programs"])) for r in data["roles"]),
        events=tuple(events),
        window_s=data["window_s"],
        long_windows=data["long_windows"],
        grace_s=data["grace_s"],
        timezone=data["timezone"],
        macros=macros,
        fields=generic,
        leaders=leaders,
        features=tuple(_feature(feature) for feature in data["features"] or ()),
        rules=tuple(RuleSpec(**{**rule, "helps": tuple(rule["helps"])}) for rule in data["rules"] or ()),
        silence=_silence(data["silence"]),
        heartbeats=tuple(HeartbeatSpec(**{**one, "helps": tuple(one["helps"])}) for one in data["heartbeats"] or ()),
        explains={kind: tuple(others) for kind, others in data["explains"].items()},
        raw=text,
    )


def _event(event: Mapping[str, Any], index: int, checked: Callable[[str, str], str]) -> EventSpec:
    name = str(event.get("name", index))
    entries = [e for e in event.get("patterns") or [] if isinstance(e, Mapping) and "pattern" in e]
    patterns = tuple(checked(e["pattern"], f"events[{index}] {name}.patterns[{i}]") for i, e in enumerate(entries))
    return EventSpec(
        name, str(event.get("description", "")), patterns, tuple(dict(e.get("set") or {}) for e in entries)
    )


def _feature(feature: Mapping[str, Any]) -> FeatureSpec:
    scored = feature["scored"]
    return FeatureSpec(**{**feature, "scored": Scored(**scored) if scored is not None else None})


def _silence(entry: Mapping[str, Any] | None) -> SilenceSpec | None:
    if not entry:
        return None
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
    return SilenceSpec(**values)


def _check_names(data: Mapping[str, Any], fault: Callable[[str], None]) -> None:
    """Names are unique, roles that are named exist, and `*` is the only program where it is one."""
    programs = data.get("programs") or []
    if "*" in programs and len(programs) > 1:
        fault("programs: '*' stands for all of them and stands alone; name programs, or leave the others out")
    for section, key in (("events", "name"), ("features", "name"), ("rules", "id"), ("roles", "name")):
        seen: set[str] = set()
        for index, entry in enumerate(data.get(section) or []):
            name = entry.get(key) if isinstance(entry, Mapping) else None
            if name in seen:
                fault(f"{section}[{index}].{key}: {name!r} is used twice; names must differ")
            if name is not None:
                seen.add(name)
    roles = {"any"} | {str(role.get("name")) for role in data.get("roles") or [] if isinstance(role, Mapping)}
    for section in ("features", "rules"):
        for index, entry in enumerate(data.get(section) or []):
            role = entry.get("role", "any") if isinstance(entry, Mapping) else "any"
            if role not in roles:
                fault(f"{section}[{index}].role: {role!r} is no role of this agent ({', '.join(sorted(roles))})")
    silence = data.get("silence")
    if isinstance(silence, Mapping) and silence.get("role") not in roles - {"any"}:
        fault(f"silence.role: {silence.get('role')!r} is no role of this agent ({', '.join(sorted(roles - {'any'}))})")
    taken = {silence.get("role")} if isinstance(silence, Mapping) else set()
    for index, entry in enumerate(data.get("heartbeats") or []):
        role = entry.get("role") if isinstance(entry, Mapping) else None
        if role not in roles - {"any"}:
            fault(f"heartbeats[{index}].role: {role!r} is no role of this agent ({', '.join(sorted(roles - {'any'}))})")
        elif role in taken:
            fault(f"heartbeats[{index}].role: {role!r} is watched for silence already")
        taken.add(role)


def _check_formulas(spec: AgentSpec) -> list[str]:
    """Formulas and expressions are strings here; `shared.checks` compiles them."""
    from shared.checks import check_spec  # it needs the classes that this schema makes

    return check_spec(spec)
