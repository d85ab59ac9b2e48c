"""The kinds of resource: what is computed, what happened, what has a life.

The base *is* the declaration: whoever reads ``class CandleViewSet(FactViewSet)`` knows the
verbs. A viewset names its columns, filters and row; everything else stands here.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.db import models
from django.db.models.functions import Cast
from django.http import Http404, HttpResponse
from rest_framework.request import Request
from rest_framework.viewsets import GenericViewSet

from apps.shared.api import batches, filters, listing, pagination, parsing, private, structs
from apps.shared.api.answers import answer, batch_answer, check_one, json_response
from apps.shared.api.negotiation import OnlyJson
from apps.shared.api.permissions import narrow, refuse_others
from apps.shared.api.rows import Row
from apps.shared.api.values import UNSTORABLE
from apps.shared.api.writing import in_transaction, read_ahead
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest

__all__ = ["EntityViewSet", "FactViewSet", "ReadOnlyViewSet", "answer"]

PAGE_PARAMETERS = ("cursor", "fields", "limit", "ordering")
ROWS_AT_ONCE, BULK_ROWS_AT_ONCE = 10_000, 100_000
BODY_BYTES, BULK_BODY_BYTES = 16 * parsing.MEBIBYTE, 64 * parsing.MEBIBYTE


class ReadOnlyViewSet(GenericViewSet[Any]):
    """What is computed here: a list and its rows, made to JSON by PostgreSQL.

    ``fields`` are the columns of the answer; ``performance.is_success`` nests a column of a
    one-to-one relation. ``private_fields`` are columns beside them that need a right of their own
    and are in no answer unless named. Lists run along one of ``ordering_fields`` (never null),
    newest first unless ``ordering`` says otherwise.
    """

    content_negotiation_class = OnlyJson
    metadata_class = None
    parser_classes: Sequence[Any] = []
    fields: ClassVar[Sequence[str]] = []
    private_fields: ClassVar[private.PrivateFields] = {}
    filterset_fields: ClassVar[filters.FilterFields] = {}
    ordering_fields: ClassVar[Sequence[str]] = []
    ordering: ClassVar[str] = ""
    subject_fields: ClassVar[Mapping[str, str]] = {}
    lookup_value_regex = "[^/]+"

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        shown = (cls.fields, cls.filterset_fields, cls.ordering_fields)
        if found := private.among(cls.private_fields, *shown):
            raise ImproperlyConfigured(f"{cls.__name__}: {', '.join(found)} must be private only.")

    def get_queryset(self) -> models.QuerySet[Any]:
        """Return the rows this request may see."""
        return narrow(super().get_queryset(), self.request.auth, self.subject_fields)

    @classmethod
    def query_parameters(cls) -> Mapping[str, filters.Parameter]:
        """Return the filters of the list, by name."""
        return filters.parameters(cls.model(), cls.filterset_fields)

    @classmethod
    def model(cls) -> type[models.Model]:
        """Return the model of the rows."""
        if cls.queryset is None:
            raise ImproperlyConfigured(f"{cls.__name__} needs a queryset.")
        model: type[models.Model] = cls.queryset.model
        return model

    def list(self, request: Request) -> HttpResponse:
        """Answer one page of rows and the links to its neighbors."""
        query = request._request.GET
        known = self.query_parameters()
        filters.check_known(query, [*known, *PAGE_PARAMETERS])
        ordering = self.ordering_of(filters.single(query, "ordering"))
        fields = self.fields_of(filters.single(query, "fields"))
        limit = pagination.read_limit(filters.single(query, "limit"))
        if set(fields) & set(self.private_fields):
            limit = min(limit, private.MOST_ROWS)
        text = filters.single(query, "cursor")
        resource = request.path
        cursor = pagination.read_cursor(text, resource, ordering) if text else None
        queryset = filters.narrowed(self.get_queryset(), query, known)
        page = pagination.page_of(queryset, ordering, cursor, limit)
        rows = listing.rows_as_json(page, fields, ordering.field)
        return json_response(
            pagination.page_as_json(request._request, rows, ordering, cursor, limit)
        )

    def retrieve(self, request: Request, **kwargs: str) -> HttpResponse:
        """Answer one row."""
        query = request._request.GET
        filters.check_known(query, ["fields"])
        fields = self.fields_of(filters.single(query, "fields"))
        return self.stored(self.found(), fields)

    def found(self) -> models.QuerySet[Any]:
        """Return the queryset of the row in the path, which may turn out to be empty."""
        text = self.kwargs[self.lookup_url_kwarg or self.lookup_field]
        field: Any = (
            filters.field_at(self.model(), self.lookup_field)
            if (self.lookup_field != "pk")
            else self.model()._meta.pk
        )
        try:
            value = filters.reader_of(field)(text)
        except filters.Refused as error:
            raise Http404 from error
        if UNSTORABLE.search(text):
            raise Http404
        return self.get_queryset().filter(**{self.lookup_field: value})

    def stored(
        self, queryset: models.QuerySet[Any], fields: Sequence[str] = (), status: int = 200
    ) -> HttpResponse:
        """Answer the one row of ``queryset``; 404 where there is none."""
        rows = listing.rows_as_json(queryset[:1], fields or self.fields)
        if not rows:
            raise Http404
        return json_response(rows[0][0].encode(), status)

    def ordering_of(self, text: str) -> pagination.Ordering:
        """Return the ordering a query asks for, or the usual one."""
        usual = self.ordering or (f"-{self.ordering_fields[0]}" if self.ordering_fields else "-pk")
        name = text or usual
        field = name.removeprefix("-")
        if text and field not in self.ordering_fields:
            known = ", ".join(self.ordering_fields) or "none"
            raise filters.invalid_parameter("ordering", "ordering", f"Orders by: {known}.")
        return pagination.Ordering(field, name.startswith("-"))

    def fields_of(self, text: str) -> Sequence[str]:
        """Return the columns a query asks for, in the order of the declaration."""
        return private.chosen(self.request, text, self.fields, self.private_fields)


class FactViewSet(ReadOnlyViewSet):
    """What happened, told once from outside: besides reading, POST of one row or many.

    ``row`` is the body; ``key`` the columns that make a row unique (by default the lookup
    field). ``bulk`` rows may come 100,000 at once, also as CSV or one JSON object per line.
    """

    row: ClassVar[type[Row]]
    key: ClassVar[Sequence[str]] = ()
    bulk: ClassVar[bool] = False
    # The largest body; bulk ones may be larger, and so may rows that hold many others.
    body_bytes: ClassVar[int] = BODY_BYTES
    # What the documentation says of a row that comes once more.
    sent_again: ClassVar[str] = "The same row sent again is unchanged."

    def prepare(self, rows: Sequence[Any]) -> Any:
        """Do what needs no database, while the part before is stored; ``store`` gets the result.

        Runs in a thread of its own. Most resources have nothing to do here.
        """
        return rows

    def store(self, rows: Any) -> Ingested:
        """Store rows that were read without fault; a service that knows more goes here."""
        return self.ingested(rows, on_conflict="refuse")

    def ingested(self, rows: Sequence[Any], *, on_conflict: Any) -> Ingested:
        """Store rows as they are, field by field."""
        columns = [field.name for field in structs.plan_of(self.row).fields]
        defaults = {
            field.attname: field.get_default()
            for field in self.model()._meta.concrete_fields
            if field.has_default() or (not field.null and field.empty_strings_allowed)
            if field.name not in columns
            and field.db_default is models.NOT_PROVIDED
            and not field.primary_key
        }
        values = [tuple(getattr(row, name) for name in columns) for row in rows]
        return ingest(
            self.model(),
            values,
            columns=columns,
            key=self.key_columns(),
            on_conflict=on_conflict,
            defaults=defaults,
        )

    @classmethod
    def key_columns(cls) -> Sequence[str]:
        """Return the columns that make a row unique."""
        return cls.key or [cls.lookup_field]

    def create(self, request: Request) -> HttpResponse:
        """Store one row or many; the answer says what became of each."""
        query = request._request.GET
        filters.check_known(query, ["atomic", "verbose"])
        atomic, verbose = (self.flag(query, name) for name in ("atomic", "verbose"))
        parts = self.read_parts(request)
        first = next(parts)
        if not first.many:
            for row in first.rows:
                refuse_others(request, self, row)
            return self.create_one(first)
        outcome, size = self.store_parts(request, first, parts, atomic=atomic)
        return batch_answer(outcome, size, verbose=verbose, atomic=atomic)

    def store_parts(
        self,
        request: Request,
        first: batches.Batch[Any],
        others: Iterator[batches.Batch[Any]],
        *,
        atomic: bool,
    ) -> tuple[Ingested, int]:
        """Store a batch in one transaction, each part while the next one is read.

        Returns what became of it and how many rows it has.
        """
        unread = [chain([first], read_ahead(others))]
        size = 0

        def store() -> Ingested:
            nonlocal size
            outcome, size = Ingested(), 0
            # A transaction that starts over reads the body again.
            for part in unread.pop() if unread else self.read_parts(request):
                size += part.size
                refuse_others(request, self, part.rows)
                for place, errors in part.failures.items():
                    outcome.fail(place, errors)
                if part.rows and not (atomic and outcome.failed):
                    outcome.merge(self.store(part.ready), part.places)
            return outcome

        outcome = in_transaction(store, all_or_none=atomic)
        if atomic and outcome.failed:
            only = [result for result in outcome.results if result.status is RowStatus.FAILED]
            outcome = Ingested(failed=outcome.failed, results=only)
        outcome.sort()
        return outcome, size

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Store one row and answer it as stored."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        row = batch.rows[0]
        outcome = in_transaction(lambda: self.store(batch.ready), all_or_none=True)
        check_one(outcome)
        place = {name: getattr(row, name) for name in self.key_columns()}
        return self.stored(
            self.get_queryset().filter(**place), status=201 if outcome.created else 200
        )

    def replace(self, rows: Sequence[Any]) -> Ingested:
        """Store rows over what is stored under the same key."""
        return self.ingested(rows, on_conflict="replace")

    def read_parts(self, request: Request) -> Iterator[batches.Batch[Any]]:
        """Yield the body's rows: in parts where there may be very many."""
        accepted = (parsing.JSON, parsing.LINES, parsing.CSV) if self.bulk else (parsing.JSON,)
        kind = parsing.content_type(request._request, accepted)
        body = parsing.read_body(
            request._request, BULK_BODY_BYTES if self.bulk else self.body_bytes
        )
        limit = BULK_ROWS_AT_ONCE if self.bulk else ROWS_AT_ONCE
        for part in batches.read_parts(self.row, body, kind, limit=limit):
            part.ready = self.prepare(part.rows)
            yield part

    def read_one(self, request: Request, row: type[structs.R]) -> structs.R:
        """Return a body that holds one row: for verbs of their own."""
        parsing.content_type(request._request, (parsing.JSON,))
        return batches.read_one(row, parsing.read_body(request._request, BODY_BYTES))

    @staticmethod
    def flag(query: Any, name: str) -> bool:
        """Return a yes/no parameter."""
        text = filters.single(query, name, "0")
        if text not in ("0", "1"):
            raise filters.invalid_parameter(name, "not_a_flag", "Must be 0 or 1.")
        return text == "1"


class EntityViewSet(FactViewSet):
    """What has a life: besides reading and POST, PUT on the key and PATCH of single fields."""

    # What PUT and PATCH take, where that is less than the whole row.
    change_row: ClassVar[type[Row] | None] = None
    # Fields that neither of them may name, and the sentence that says what moves those.
    life: ClassVar[Collection[str]] = ()
    moved_by: ClassVar[str] = ""

    def update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Create the row of this key, or replace it whole."""
        row = self.read_for_path(request)
        refuse_others(request, self, row)
        outcome = in_transaction(lambda: self.replace([row]), all_or_none=True)
        check_one(outcome)
        return self.stored(self.found(), status=201 if outcome.created else 200)

    def partial_update(self, request: Request, **kwargs: str) -> HttpResponse:
        """Change the fields that are sent; the others stay as they are."""
        filters.check_known(request._request.GET, [])
        sent = self.read_sent(request)
        changes = structs.read_fields(self.row, sent, partial=True)
        if isinstance(changes, list):
            raise batches.invalid(changes)
        refuse_others(request, self, changes, partial=True)

        def change() -> Ingested:
            return self.replace([self.row(**{**self.held_values(), **changes})])

        check_one(in_transaction(change, all_or_none=True))
        return self.stored(self.found())

    def held_values(self) -> dict[str, Any]:
        """Return the values of the row in the path and lock it; the numbers in its JSON are exact.

        Django would read those as binary fractions, and what is left as it is would change.
        """
        names = [field.name for field in structs.plan_of(self.row).fields]
        documents = [
            name
            for name in names
            if isinstance(filters.field_at(self.model(), name), models.JSONField)
        ]
        texts = {f"{name}_as_text": Cast(name, models.TextField()) for name in documents}
        rows = self.found().select_for_update(of=("self",)).annotate(**texts)
        held = rows.values(*names, *texts).first()
        if held is None:
            raise Http404
        for name in documents:
            text = held.pop(f"{name}_as_text")
            held[name] = None if text is None else parsing.loads(text.encode())
        return held

    def read_for_path(self, request: Request) -> Row:
        """Return the whole row of a PUT."""
        filters.check_known(request._request.GET, [])
        row = structs.read_row(self.row, self.read_sent(request))
        if isinstance(row, list):
            raise batches.invalid(row)
        return row

    def read_sent(self, request: Request) -> Any:
        """Return the object that was sent, its key taken from the path."""
        parsing.content_type(request._request, (parsing.JSON,))
        sent = batches.loads(parsing.read_body(request._request, self.body_bytes))
        if isinstance(sent, dict):
            for name, named in self.key_of_path().items():
                if sent.setdefault(name, named) != named:
                    message = "Must be the key of the address."
                    error = FieldError(f"/{name}", "differs_from_path", message)
                    raise batches.invalid([error])
            if named := [name for name in sent if name in self.life]:
                code = "not_changed_here"
                raise batches.invalid([FieldError(f"/{n}", code, self.moved_by) for n in named])
        return sent

    def key_of_path(self) -> Mapping[str, Any]:
        """Return the key columns that the address stands for.

        Where the address holds another name of the row, such as its id, the row must exist.
        """
        if self.lookup_field in structs.plan_of(self.row).names:
            return {self.lookup_field: self.kwargs[self.lookup_url_kwarg or self.lookup_field]}
        held = self.found().values(*self.key_columns()).first()
        if held is None:
            raise Http404
        return held
