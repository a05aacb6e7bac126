"""The HTTP API of a site as one table: address, method, schemas, words. Routes, checks and documentation come from it.

Each service lists its `Operation`s; `add_operations` attaches them to the app, reads query and body through the schemas
before the view is called, and serves the same table as OpenAPI (`/api/v1/openapi.json`) and as a page (`/api-guide`).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flask import Flask, abort, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from marshmallow import EXCLUDE, Schema, ValidationError, fields

from shared import __version__
from shared.web.app import this_site

SPEC_PATH, GUIDE_PATH = "/api/v1/openapi.json", "/api-guide"
CONVERTERS = re.compile(r"<(?:(?P<kind>\w+)(?:\([^)]*\))?:)?(?P<name>\w+)>")
REFUSALS = {
    202: "The daemon has not answered yet.",
    400: "A value is senseless; `detail` names it.",
    401: "No token, or one that is not known here.",
    403: "The token may only read.",
    404: "There is no such thing here.",
    409: "It cannot be done in the present state; `detail` says why.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    502: "The other side answered nonsense, or refused.",
    503: "The state cannot be read or written just now.",
    504: "It took too long and was ended.",
}


class Refusal(Schema):
    """What every refusal carries."""

    status = fields.Integer(required=True)
    title = fields.String(required=True)
    detail = fields.String(required=True)


class Refused(Schema):
    """The body of every answer with a status of 400 or more."""

    error = fields.Nested(Refusal, required=True)


@dataclass(frozen=True)
class Operation:
    """One method of one address. The view gets the parts of the address, and `query` and `body` where they have schemas.

    Reading needs a token of any scope (or a signed-in browser), everything else one with the scope admin.
    """

    method: str
    path: str  # as Flask writes it: /api/v1/models/<version>/load
    endpoint: str
    view: Callable[..., ResponseReturnValue]
    summary: str
    tag: str
    answer: Schema | None = None
    query: Schema | None = None
    body: Schema | None = None
    also: tuple[int, ...] = ()  # refusals besides 400, 401, 403 and 503
    status: int = 200
    is_public: bool = False
    answers_as: str = "application/json"
    takes_as: str = "application/json"
    max_bytes: int | None = None  # where more than the site's usual limit is taken

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"


def add_operations(app: Flask, operations: Sequence[Operation], title: str) -> None:
    """Attach the table to the app, and its documentation."""
    csrf = app.extensions["pipit"].csrf
    for operation in operations:
        view = _with_input(operation)
        if not operation.is_read:
            csrf.exempt(view)  # the guard lets no browser session change anything here, and a token is no cookie
        app.add_url_rule(operation.path, operation.endpoint, view, methods=[operation.method])
    sizes = {each.endpoint: each.max_bytes for each in operations if each.max_bytes}

    @app.before_request
    def _widen() -> None:
        if request.endpoint in sizes:
            request.max_content_length = sizes[request.endpoint]

    # The guard looks at the size too, and it was attached first.
    hooks = app.before_request_funcs[None]
    hooks.insert(0, hooks.pop())
    app.extensions["pipit_api"] = (tuple(operations), title)
    app.add_url_rule(SPEC_PATH, "api_openapi", _openapi)
    app.add_url_rule(GUIDE_PATH, "api_guide", _guide)


def _with_input(operation: Operation) -> Callable[..., ResponseReturnValue]:
    """The view, called with what the schemas made of query and body."""
    if operation.query is None and operation.body is None and operation.is_read:
        return operation.view

    @functools.wraps(operation.view)
    def call(**path: Any) -> ResponseReturnValue:
        if operation.query is not None:
            path["query"] = load(operation.query, request.args.to_dict())
        if operation.body is not None:
            path["body"] = load(operation.body, _json_body(operation.body))
        return operation.view(**path)

    call.__name__ = f"{operation.endpoint}_view"  # two addresses of one view are two entries in the list of exemptions
    return call


def _json_body(schema: Schema) -> Any:
    """The body as JSON; none at all is an empty object."""
    if not request.content_length:
        return [] if schema.many else {}
    if not request.is_json:
        abort(415, "The body must be JSON: send the header Content-Type: application/json.")
    try:
        return request.get_json()
    except RecursionError:
        abort(400, "The body is nested too deeply.")


def load(schema: Schema, given: Any) -> Any:
    """What a schema makes of it; a 400 that names every fault otherwise."""
    try:
        return schema.load(given)
    except ValidationError as error:
        abort(400, " ".join(_faults(error.messages))[:1000])


def _faults(messages: Any, at: str = "") -> list[str]:
    """Marshmallow's nested messages as "place: message" each."""
    if isinstance(messages, Mapping):
        return [
            text
            for name, own in messages.items()
            for text in _faults(own, f"{at}.{name}".strip(".") if name != "_schema" else at)
        ]
    return [f"{at}: {text}" if at else str(text) for text in messages]


class Lenient(Schema):
    """A query: parameters that are not known are ignored, as in any address on the web."""

    class Meta:
        unknown = EXCLUDE


# --- documentation -----------------------------------------------------------------------------------------------------


def openapi(operations: Sequence[Operation], title: str) -> dict[str, Any]:
    """The OpenAPI document of a table."""
    from apispec import APISpec
    from apispec.ext.marshmallow import MarshmallowPlugin

    spec = APISpec(
        title=title,
        version=__version__,
        openapi_version="3.0.3",
        plugins=[MarshmallowPlugin(schema_name_resolver=_schema_name)],
        info={"description": "Send a token as `Authorization: Bearer TOKEN`. Times are ISO 8601 in UTC."},
        security=[{"token": []}],
    )
    spec.components.security_scheme("token", {"type": "http", "scheme": "bearer"})
    tags = dict.fromkeys(operation.tag for operation in operations)
    for name in tags:
        spec.tag({"name": name})
    for operation in operations:
        spec.path(
            path=CONVERTERS.sub(r"{\g<name>}", operation.path), operations={operation.method.lower(): _told(operation)}
        )
    return spec.to_dict()


def _schema_name(schema: Any) -> str:
    """One name per class: the same schema listed and alone is one component."""
    found = schema if isinstance(schema, type) else type(schema)
    return str(found.__name__)


def _told(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.endpoint,
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.is_public:
        told["security"] = []
    if operation.body is not None:
        needed = any(each.required for each in operation.body.fields.values())
        told["requestBody"] = {"content": {operation.takes_as: {"schema": operation.body}}, "required": needed}
    elif operation.takes_as != "application/json":
        schema = {"type": "string", "format": "binary"}
        told["requestBody"] = {"content": {operation.takes_as: {"schema": schema}}, "required": True}
    return told


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "in": "path",
            "name": match["name"],
            "required": True,
            "schema": {"type": "integer", "minimum": 0} if match["kind"] == "int" else {"type": "string"},
        }
        for match in CONVERTERS.finditer(operation.path)
    ]
    if operation.query is not None:
        found.append({"in": "query", "schema": operation.query})
    return found


def _responses(operation: Operation) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.summary}
    content: dict[str, Any] = {"application/json": {"schema": operation.answer}} if operation.answer is not None else {}
    if operation.answers_as != "application/json":  # a file, beside the JSON where there are both
        content[operation.answers_as] = {"schema": {"type": "string"}}
    if content:
        good["content"] = content
    statuses = {400, *operation.also} if operation.is_public else {400, 401, 403, 503, *operation.also}
    statuses |= {413, 415} if operation.body is not None else {413} if not operation.is_read else set()
    told = {
        str(status): {
            "description": REFUSALS[status],
            "content": {"application/json": {"schema": Refused() if status >= 400 else operation.answer or Refused()}},
        }
        for status in sorted(statuses)
    }
    return {str(operation.status): good, **told}


@functools.lru_cache(maxsize=4)
def _document(operations: tuple[Operation, ...], title: str) -> dict[str, Any]:
    return openapi(operations, title)


def _openapi() -> ResponseReturnValue:
    """The OpenAPI document."""
    operations, title = _table()
    return jsonify(_document(operations, title))


def _guide() -> ResponseReturnValue:
    """The same for people: one page, made on the server."""
    operations, title = _table()
    groups: dict[str, list[dict[str, Any]]] = {}
    for operation in operations:
        groups.setdefault(operation.tag, []).append(_entry(operation))
    count = len(operations)
    return render_template("api.html", at="API", title=title, groups=groups, count=count, site_name=this_site().name)


def _entry(operation: Operation) -> dict[str, Any]:
    return {
        "method": operation.method,
        "path": CONVERTERS.sub(r"{\g<name>}", operation.path),
        "anchor": operation.endpoint.replace("_", "-"),
        "summary": operation.summary,
        "needs": "nothing" if operation.is_public else "a token" if operation.is_read else "an admin token",
        "query": _shown(operation.query),
        "body": _shown(operation.body),
        "takes": operation.takes_as,
        "takes_list": bool(operation.body is not None and operation.body.many),
        "answer": _shown(operation.answer),
        "refuses": sorted(operation.also),
    }


def _shown(schema: Schema | None) -> list[tuple[str, str, str]]:
    """Fields of a schema as (name, kind, what it is)."""
    if schema is None:
        return []
    return [
        (own.data_key or name, _kind(own), str(own.metadata.get("description", "")))
        for name, own in schema.fields.items()
    ]


def _kind(field: fields.Field[Any]) -> str:
    if isinstance(field, fields.List):
        return f"list of {_kind(field.inner)}"
    if isinstance(field, fields.Nested):
        return "list of objects" if field.many else "object"
    known = {
        fields.Integer: "whole number",
        fields.Float: "number",
        fields.Boolean: "true or false",
        fields.Dict: "object",
    }
    return next((word for kind, word in known.items() if isinstance(field, kind)), "text")


def _table() -> tuple[tuple[Operation, ...], str]:
    from flask import current_app

    operations, title = current_app.extensions["pipit_api"]
    return operations, title
