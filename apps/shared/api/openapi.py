"""What the API says about itself: OpenAPI from the rows, fields and filters of the viewsets.

A viewset needs nothing beside its own declarations. Verbs of its own, and views that are no
viewsets, say with ``describe`` what they are asked and what they answer.
"""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import msgspec
import uritemplate
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ResolvedComponent
from drf_spectacular.utils import OpenApiResponse

from apps.shared.api import schemas
from apps.shared.api.filters import field_at, parameters
from apps.shared.api.pagination import DEFAULT_LIMIT, MAX_LIMIT
from apps.shared.api.parsing import CSV, JSON, LINES
from apps.shared.api.permissions import needed_scope
from apps.shared.api.private import MOST_ROWS, PrivateFields

F = TypeVar("F", bound=Callable[..., Any])

# The answer of a verb that answers the row as it is stored then.
STORED_ROW = "stored row"

VERBS = {"GET": "read", "POST": "create", "PUT": "put", "PATCH": "change", "DELETE": "delete"}
OPENINGS = {
    "list": "List {many}",
    "retrieve": "Read one {one}",
    "create": "Send {many}",
    "update": "Create or replace one {one}",
    "partial_update": "Change one {one}",
}


def describe(
    *,
    query: type[msgspec.Struct] | None = None,
    body: type[msgspec.Struct] | None = None,
    answer: Any = None,
) -> Callable[[F], F]:
    """Say what a handler is asked in its query or its body, and what type it answers with.

    ``answer=STORED_ROW``: it answers the row as its list shows it.
    """

    def mark(handler: F) -> F:
        handler.described = {"query": query, "body": body, "answer": answer}  # type: ignore[attr-defined]
        return handler

    return mark


class Schema(AutoSchema):
    """Describe a view from its ``row``, ``fields``, ``filterset_fields`` and docstring."""

    # --- Who and what ---------------------------------------------------------------------

    @property
    def _model(self) -> Any:
        queryset = getattr(self.view, "queryset", None)
        return None if queryset is None else queryset.model

    @property
    def _action(self) -> str:
        """Return list, retrieve, create, update or partial_update, or '' for anything else."""
        action = getattr(self.view, "action", None)
        return action if action in OPENINGS and self._fields else ""

    @property
    def _fields(self) -> Sequence[str]:
        return getattr(self.view, "fields", ())

    @property
    def _private(self) -> PrivateFields:
        return getattr(self.view, "private_fields", {})

    def get_tags(self) -> list[str]:
        return self._tokenize_path()[:1]

    def get_operation_id(self) -> str:
        words = [word.replace("-", "_") for word in self._tokenize_path()]
        verb = "list" if self._action == "list" else VERBS[self.method]
        return "_".join([*words, verb])

    def get_summary(self) -> str | None:
        if not self._action:
            return (inspect.getdoc(self._handler()) or "").partition("\n")[0].rstrip(".") or None
        names = self._model._meta
        return OPENINGS[self._action].format(one=names.verbose_name, many=names.verbose_name_plural)

    def get_description(self) -> str:  # type: ignore[override]
        described = self.view if self._action else self._handler()
        parts = [inspect.getdoc(described) or inspect.getdoc(type(self.view)) or ""]
        if self._model is not None:
            scope = needed_scope(self._model._meta.app_label, self.method)
            parts.append(f"Scope: `{scope}`.")
        if self._action == "create":
            parts.append(
                "Takes one object or a list. Of a list the valid rows are stored and the others"
                f" named; `atomic=1` stores all or none. {getattr(self.view, 'sent_again', '')}"
            )
        return "\n\n".join(part for part in parts if part).replace("``", "`")

    def _handler(self) -> Any:
        action = getattr(self.view, "action", None)
        return getattr(self.view, action or self.method.lower(), None)

    def _described(self, what: str) -> Any:
        """Return what ``describe`` said of this handler's query, body or answer."""
        return getattr(self._handler(), "described", {}).get(what)

    def get_auth(self) -> list[dict[str, list[str]]]:
        if self._model is None:
            return []
        scope = needed_scope(self._model._meta.app_label, self.method)
        return [{"key": [scope]}, {"session": []}]

    # --- Parameters -----------------------------------------------------------------------

    def _resolve_path_parameters(self, variables: Sequence[str]) -> list[Any]:
        lookup = getattr(self.view, "lookup_field", "")
        in_path = getattr(self.view, "lookup_url_kwarg", None) or lookup
        return [
            {
                "name": name,
                "in": "path",
                "required": True,
                "schema": (
                    schemas.column_schema(field_at(self._model, self._column(lookup)))
                    if name == in_path and self._model is not None
                    else schemas.TEXT
                ),
            }
            for name in variables
        ]

    def _column(self, name: str) -> str:
        return self._model._meta.pk.name if name == "pk" else name

    def _get_filter_parameters(self) -> list[Any]:
        found = [schemas.IDEMPOTENCY_KEY] if self.method == "POST" else []
        if self._action == "create":
            found += [
                schemas.flag("atomic", "Store all rows of a list or, when one is refused, none."),
                schemas.flag("verbose", "Name every row of a list in the answer."),
            ]
        if self._action in ("list", "retrieve"):
            found.append(self._thinning())
        if self._action == "list":
            found += [*self._filters(), *self._paging()]
        if query := self._described("query"):
            found += schemas.query_parameters(query)
        return found

    def _get_pagination_parameters(self) -> list[Any]:
        return []

    def _get_format_parameters(self) -> list[Any]:
        return []

    def _filters(self) -> list[Any]:
        declared = getattr(self.view, "filterset_fields", {})
        return [
            schemas.query_parameter(
                parameter.name,
                parameter.description,
                (
                    {"type": "array", "items": dict(parameter.schema)}
                    if parameter.many
                    else dict(parameter.schema)
                ),
                **({"style": "form", "explode": False} if parameter.many else {}),
            )
            for parameter in parameters(self._model, declared).values()
        ]

    def _paging(self) -> list[Any]:
        columns = list(getattr(self.view, "ordering_fields", ()))
        found = [
            schemas.query_parameter(
                "limit",
                "Rows on a page.",
                {
                    "type": "integer",
                    "minimum": 1,
                    "maximum": MAX_LIMIT,
                    "default": DEFAULT_LIMIT,
                },
            ),
            schemas.query_parameter(
                "cursor", "Where the page begins; `next` and `previous` hold it.", schemas.TEXT
            ),
        ]
        if columns:
            both = [sign + name for name in columns for sign in ("", "-")]
            found.append(
                schemas.query_parameter(
                    "ordering",
                    "The column to run along; a minus turns it round. Newest first if not given.",
                    {"type": "string", "enum": both},
                )
            )
        return found

    def _thinning(self) -> Any:
        names = list(dict.fromkeys(name.partition(".")[0] for name in self._fields))
        about = "Only these columns, by comma."
        for name, needed in self._private.items():
            names.append(name)
            about += f" `{name}` is answered only where it is named, to scope `{needed.scope}`"
            about += f", at most {MOST_ROWS} rows at a time."
        return schemas.query_parameter(
            "fields",
            about,
            {"type": "array", "items": {"type": "string", "enum": names}},
            style="form",
            explode=False,
        )

    # --- Bodies ---------------------------------------------------------------------------

    def get_request_serializer(self) -> Any:
        return None

    def get_response_serializers(self) -> Any:
        answer = self._described("answer")
        if answer is STORED_ROW:
            return OpenApiResponse(self._answer_reference(), description="The row as it is stored.")
        return OpenApiResponse(
            {"type": "object"} if answer is None else self._struct_reference(answer),
            description="The answer.",
        )

    def _component(self, name: str, schema: schemas.Schema) -> schemas.Schema:
        component = ResolvedComponent(
            name=name, type=ResolvedComponent.SCHEMA, object=name, schema=schema
        )
        self.registry.register_on_missing(component)
        return schemas.reference(name)

    def _struct_reference(self, struct: Any) -> schemas.Schema:
        schema, components = schemas.type_schema(struct)
        for name, component in components.items():
            self._component(name, component)
        return schema

    def _row_reference(self) -> schemas.Schema:
        row = self._row_of_body()
        for name, schema in schemas.row_components(row, self._model).items():
            self._component(name, schema)
        return schemas.reference(row.__name__)

    def _changes_reference(self) -> schemas.Schema:
        """Return the row with nothing required: what a PATCH may hold."""
        row = self._row_of_body()
        whole = schemas.row_components(row, self._model)[row.__name__]
        some = {name: value for name, value in whole.items() if name not in ("required", "title")}
        return self._component(f"{row.__name__.removesuffix('Row')}Change", some)

    def _row_of_body(self) -> Any:
        """Return the row that is sent: of a PUT or PATCH it may be less than the whole."""
        view: Any = self.view
        changing = self._action in ("update", "partial_update")
        return (getattr(view, "change_row", None) if changing else None) or view.row

    def _answer_reference(self) -> schemas.Schema:
        name = type(self.view).__name__.removesuffix("ViewSet")
        return self._component(
            name, schemas.answer_schema(self._model, self._fields, tuple(self._private))
        )

    def _get_request_body(self, direction: str = "request") -> Any:
        if self._action not in ("create", "update", "partial_update"):
            body = self._described("body")
            return (
                schemas.body({JSON: self._struct_reference(body)})
                if body
                else super()._get_request_body(direction)
            )
        row = self._row_reference()
        if self._action == "partial_update":
            return schemas.body({JSON: self._changes_reference()})
        if self._action == "update":
            return schemas.body({JSON: row})
        content: dict[str, schemas.Schema] = {
            JSON: {"oneOf": [row, {"type": "array", "items": row}]}
        }
        if getattr(self.view, "bulk", False):
            content[LINES] = {**schemas.TEXT, "description": "One JSON object per line."}
            content[CSV] = {**schemas.TEXT, "description": "The first line names the fields."}
        return schemas.body(content)

    def _get_response_bodies(self, direction: Any = "response") -> Any:
        if not self._action:
            found = dict(super()._get_response_bodies(direction))
        else:
            found = self._answers()
        for name, schema in schemas.SHARED.items():
            self._component(name, schema)
        wrong = schemas.refusals(self.method, one=bool(uritemplate.variables(self.path)))
        problem = {"application/problem+json": {"schema": schemas.reference("Problem")}}
        for status, description in wrong.items():
            found.setdefault(status, {"description": description, "content": problem})
        return dict(sorted(found.items()))

    def _answers(self) -> dict[str, Any]:
        row = self._answer_reference()
        if self._action == "list":
            return {"200": schemas.answer("One page.", schemas.page_schema(row))}
        if self._action in ("retrieve", "partial_update"):
            return {"200": schemas.answer("The row as it is stored.", row)}
        if self._action == "update":
            return {
                "200": schemas.answer("It stood there already.", row),
                "201": schemas.answer("It is new.", row),
            }
        if answer := self._described("answer"):
            # One row that is sent is answered with more, or less, than is stored.
            row = self._struct_reference(answer)
        batch = schemas.reference("BatchAnswer")
        either = {"oneOf": [row, batch]}
        return {
            "200": schemas.answer("The row was stored before, or what became of a list.", either),
            "201": schemas.answer("The new row, or the counts of a list of new rows.", either),
        }
