"""What the compose schema cannot see: references, variables, passwords and pins. `make compose-check` runs it.

python -m deploy.check_compose docker-compose.*.yml
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parent.parent
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]*)(:?[-?+])?([^}]*)\}")
PINNED = re.compile(r"[\w./-]+:v?\d+\.\d+(\.\d+)?(-[\w.]+)?(@sha256:[0-9a-f]{64})?")
SECRET = re.compile(r"(PASSWORD|TOKEN|SECRET)", re.IGNORECASE)


def faults(path: Path, example: Path = ROOT / ".env.example") -> Iterator[str]:
    """Everything that is wrong with one compose file, in words."""
    text = path.read_text(encoding="utf-8")
    compose: dict[str, Any] = yaml.safe_load(text)
    yield from _variables(text, example)
    for name, service in compose["services"].items():
        for fault in (*_references(service, compose, path.parent), *_hardening(service)):
            yield f"{name}: {fault}"


def _variables(text: str, example: Path) -> Iterator[str]:
    known = dict(
        line.split("=", 1) for line in example.read_text(encoding="utf-8").splitlines() if re.match(r"[A-Z]\w*=", line)
    )
    code = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    for name, form, rest in VARIABLE.findall(code):
        if name not in known:
            yield f"${{{name}}} is not in {example.name}"
        if form not in (":-", ":?"):
            yield f"${{{name}}} has neither a default (:-) nor a complaint (:?)"
        if form == ":?" and not rest.strip():
            yield f"${{{name}:?}} does not say what is missing"
        if form == ":-" and SECRET.search(name) and rest:
            yield f"${{{name}}} is a secret with a default"


def _references(service: Mapping[str, Any], compose: Mapping[str, Any], folder: Path) -> Iterator[str]:
    for other in service.get("depends_on", {}):
        if other not in compose["services"]:
            yield f"depends on {other}, which is no service"
    for secret in service.get("secrets", []):
        if secret not in compose.get("secrets", {}):
            yield f"uses the secret {secret}, which is not declared"
    for mount in service.get("volumes", []):
        source = str(mount["source"])
        if mount["type"] == "volume" and source not in compose.get("volumes", {}):
            yield f"mounts the volume {source}, which is not declared"
        if mount["type"] == "bind" and source.startswith("./") and not (folder / source).exists():
            yield f"mounts {source}, which is not here"
    build = service.get("build")
    if build and not (folder / build["context"] / build["dockerfile"]).is_file():
        yield f"is built from {build['dockerfile']}, which is not here"


def _hardening(service: Mapping[str, Any]) -> Iterator[str]:
    if not PINNED.fullmatch(service.get("image", "")):
        yield f"its image {service.get('image')} is not pinned to a version"
    if "healthcheck" not in service:
        yield "has no health check"
    if "no-new-privileges:true" not in service.get("security_opt", []):
        yield "may gain privileges"
    if not service.get("mem_limit"):
        yield "has no memory limit"
    if service.get("privileged"):
        yield "is privileged"
    for port in service.get("ports", []):
        if not str(port).startswith("127.0.0.1:"):
            yield f"publishes {port} to the network"
    for name, value in service.get("environment", {}).items():
        if SECRET.search(name) and not name.endswith("_FILE") and value:
            yield f"has {name} in the open"


def main(paths: list[str]) -> int:
    """The schema, the linter of the Dockerfiles, and the faults above; 1 where there is any."""
    tools = Path(sys.prefix, "bin")
    dockerfiles = sorted(map(str, (ROOT / "deploy" / "docker").glob("Dockerfile.*")))
    schema = [str(tools / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", *paths]
    wrong = subprocess.run(schema, check=False).returncode != 0
    wrong |= subprocess.run([str(tools / "hadolint"), *dockerfiles], check=False).returncode != 0
    for path in paths:
        for fault in faults(Path(path)):
            print(f"{path}: {fault}")
            wrong = True
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
