"""JSON Schemas of what goes in and out: from the rows, the columns and the shapes around them."""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any

import msgspec
from django.db import models

from apps.shared.api.filters import field_at

Schema = dict[str, Any]

REFERENCE = "#/components/schemas/"
TEXT: Schema = {"type": "string"}


def reference(name: str) -> Schema:
    """Return what stands for a component of the document."""
    return {"$ref": f"{REFERENCE}{name}"}


# --- What goes in -------------------------------------------------------------------------


def row_components(
    row: type[msgspec.Struct], model: type[models.Model] | None = None
) -> Mapping[str, Schema]:
    """Return the schemas of a row and of what it holds, by name.

    Fields that say nothing about themselves borrow the help text of the model's column.
    """
    _, components = type_schema(row)
    if model is not None:
        helps = {field.name: field for field in model._meta.concrete_fields}
        for name, schema in components[row.__name__].get("properties", {}).items():
            help_text = str(helps[name].help_text) if name in helps else ""
            if help_text and not _described(schema):
                schema["description"] = help_text
    return components


def type_schema(kind: Any) -> tuple[Schema, dict[str, Schema]]:
    """Return the schema of any type that msgspec knows, and those it refers to by name."""
    (schema,), found = msgspec.json.schema_components(
        [kind], schema_hook=_choices, ref_template=REFERENCE + "{name}"
    )
    return _tidy(schema), {name: _tidy(inner) for name, inner in found.items()}


def _choices(kind: type) -> Schema:
    """Return the schema of a vocabulary; msgspec does not know Django's as an enum."""
    if issubclass(kind, Enum):
        return {"type": "string", "enum": [member.value for member in kind]}
    raise NotImplementedError


def _tidy(schema: Any) -> Any:
    """Return a schema in which a choice of types does not stand beside a type of its own."""
    if isinstance(schema, list):
        return [_tidy(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: _tidy(value) for name, value in schema.items()}
    if "anyOf" in found:
        found.pop("type", None)
        found.pop("format", None)
    return found


def _described(schema: Schema) -> bool:
    return "description" in schema or any(map(_described, schema.get("anyOf", [])))


# --- What comes out -----------------------------------------------------------------------

KINDS: Sequence[tuple[Any, Schema]] = [
    (models.BooleanField, {"type": "boolean"}),
    (models.DateTimeField, {"type": "string", "format": "date-time"}),
    (models.DateField, {"type": "string", "format": "date"}),
    (models.UUIDField, {"type": "string", "format": "uuid"}),
    (models.DecimalField, {"type": "string", "format": "decimal"}),
    (models.FloatField, {"type": "number"}),
    (models.IntegerField, {"type": "integer"}),
    (models.JSONField, {}),
    ((models.CharField, models.TextField), TEXT),
]


def column_schema(field: "models.Field[Any, Any]") -> Schema:
    """Return the schema of one column as the API answers it: decimals as text, times in UTC."""
    schema = next((dict(schema) for kind, schema in KINDS if isinstance(field, kind)), {})
    if field.choices:
        schema["enum"] = [value for value, _ in field.flatchoices]
    if field.null and "type" in schema:
        schema["type"] = [schema["type"], "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    if field.help_text:
        schema["description"] = str(field.help_text)
    return schema


def answer_schema(
    model: type[models.Model], fields: Sequence[str], if_named: Sequence[str] = ()
) -> Schema:
    """Return the schema of one row of an answer; ``performance.is_success`` nests.

    ``if_named`` are columns that stand in it only where a query names them.
    """
    properties: Schema = {}
    always = list(dict.fromkeys(name.partition(".")[0] for name in fields))
    for name in (*fields, *if_named):
        relation, dot, inner = name.partition(".")
        if not dot:
            properties[name] = column_schema(field_at(model, name))
            continue
        nested = properties.setdefault(relation, {"type": ["object", "null"], "properties": {}})
        nested["properties"][inner] = column_schema(field_at(model, f"{relation}__{inner}"))
    description = " ".join((model.__doc__ or "").split("\n\n")[0].split()).replace("``", "`")
    return {
        "type": "object",
        "description": description,
        "properties": properties,
        "required": always,
    }


def page_schema(row: Schema) -> Schema:
    """Return the schema of one page of a list."""
    link = {"type": ["string", "null"], "format": "uri"}
    return {
        "type": "object",
        "properties": {
            "next": {**link, "description": "The page behind this one."},
            "previous": {**link, "description": "The page before this one."},
            "results": {"type": "array", "items": row},
        },
        "required": ["next", "previous", "results"],
    }


# --- Shapes that every resource shares ----------------------------------------------------

FIELD_ERROR: Schema = {
    "type": "object",
    "description": "One thing wrong with one field.",
    "properties": {
        "pointer": {**TEXT, "description": "JSON pointer into the body, or ?name of a query."},
        "code": {**TEXT, "description": "Stable, for programs."},
        "message": {**TEXT, "description": "For people."},
    },
    "required": ["pointer", "code", "message"],
}
PROBLEM: Schema = {
    "type": "object",
    "description": "What went wrong (RFC 9457).",
    "properties": {
        "type": {**TEXT, "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": {**TEXT, "description": "Stable, for programs."},
        "request_id": {**TEXT, "description": "The X-Request-ID of this request, as logged."},
        "errors": {"type": "array", "items": reference("FieldError")},
    },
    "required": ["type", "title", "status", "detail", "code", "request_id", "errors"],
}
BATCH: Schema = {
    "type": "object",
    "description": "What became of each row of a list.",
    "properties": {
        "created": {"type": "integer", "description": "Rows that are new."},
        "unchanged": {"type": "integer", "description": "Rows that stood there already."},
        "replaced": {"type": "integer", "description": "Rows that took the place of another."},
        "failed": {"type": "integer", "description": "Rows that are not stored."},
        "results": {
            "type": "array",
            "description": "The rows not plainly created; all of them with verbose=1.",
            "items": {
                "type": "object",
                "properties": {
                    "index": {"type": "integer", "description": "Place in the list, from 0."},
                    "status": {"enum": ["created", "unchanged", "replaced", "failed"]},
                    "errors": {"type": "array", "items": reference("FieldError")},
                },
                "required": ["index", "status"],
            },
        },
    },
    "required": ["created", "unchanged", "failed", "results"],
}
SHARED: Mapping[str, Schema] = {
    "FieldError": FIELD_ERROR,
    "Problem": PROBLEM,
    "BatchAnswer": BATCH,
}

# --- Parts of an operation ----------------------------------------------------------------

# Whatever can go wrong anywhere, and with a body besides.
ALWAYS = {
    "400": "The request is not as it must be: `errors` says what and where.",
    "401": "No key, or one that opens nothing.",
    "403": "The key lacks the scope or is bound to another subject.",
    "429": "Too many requests: wait for `Retry-After` seconds.",
}
ON_ONE = {"404": "There is no such thing."}
ON_WRITE = {
    "409": "The same key is stored with other content (`errors` names the fields), or the"
    " first request with this Idempotency-Key still runs (`Retry-After`).",
    "413": "The body is too large.",
    "415": "The body is of a type that is not taken here.",
    "422": "The rules refuse it, or the Idempotency-Key was used for another request.",
}
IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "Chosen by the client, up to 255 characters. Sent again with the same body"
    " within 24 hours, the first answer comes back with `Idempotent-Replay: true` and nothing"
    " is done twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


def refusals(method: str, *, one: bool) -> dict[str, str]:
    """Return status → sentence of what can go wrong; ``one``: the address names a thing."""
    writing = ON_WRITE if method in ("POST", "PUT", "PATCH") else {}
    return {**ALWAYS, **(ON_ONE if one else {}), **writing}


def query_parameter(name: str, description: str, schema: Schema, **more: Any) -> Schema:
    """Return a parameter of a query."""
    return {"name": name, "in": "query", "description": description, "schema": schema, **more}


def query_parameters(struct: type[msgspec.Struct]) -> list[Schema]:
    """Return the fields of a struct as parameters of a query."""
    schema = row_components(struct)[struct.__name__]
    return [
        query_parameter(
            name,
            inner.pop("description", ""),
            inner,
            required=name in schema.get("required", ()),
        )
        for name, inner in schema["properties"].items()
    ]


def flag(name: str, description: str) -> Schema:
    """Return a parameter that is 0 or 1."""
    either = {"type": "string", "enum": ["0", "1"], "default": "0"}
    return query_parameter(name, description, either)


def body(content: Mapping[str, Schema]) -> Schema:
    """Return a body that must be sent, from content type → schema."""
    return {
        "required": True,
        "content": {kind: {"schema": schema} for kind, schema in content.items()},
    }


def answer(description: str, schema: Schema) -> Schema:
    """Return an answer in JSON."""
    return {"description": description, "content": {"application/json": {"schema": schema}}}
