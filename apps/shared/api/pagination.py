"""Pages by cursor: each costs the same however deep, and rows that arrive shift nothing."""

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import Any

import msgspec
from django.db import models
from django.db.models import BooleanField, F, Func, QuerySet, Value
from django.http import HttpRequest
from django.utils.crypto import salted_hmac

from apps.shared.api.filters import invalid_parameter

DEFAULT_LIMIT, MAX_LIMIT = 100, 1_000
SIGNATURE_BYTES = 12
TEXT_LIMIT = 2_000


@dataclass(frozen=True, slots=True)
class Ordering:
    """The column a list runs along; the primary key breaks ties and runs the same way."""

    field: str
    descending: bool

    @property
    def name(self) -> str:
        return f"-{self.field}" if self.descending else self.field


class Cursor(msgspec.Struct, array_like=True, frozen=True):
    """A place between two rows: the values of the row beside it, and which way to read on."""

    value: str
    pk: str
    backwards: bool

    def text(self, resource: str, ordering: Ordering) -> str:
        """Return the cursor as it travels: opaque, and good for this list alone."""
        content = msgspec.json.encode(self)
        signed = _signature(content, resource, ordering) + content
        return base64.urlsafe_b64encode(signed).rstrip(b"=").decode()


def read_cursor(text: str, resource: str, ordering: Ordering) -> Cursor:
    """Return the cursor that ``text`` stands for; refuses any that was not made for this list."""
    refusal = invalid_parameter("cursor", "cursor", "Is not a cursor of this list and ordering.")
    if len(text) > TEXT_LIMIT:
        raise refusal
    try:
        padded = text.encode("ascii") + b"=" * (-len(text) % 4)
        signed = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise refusal from error
    signature, content = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(content, resource, ordering)):
        raise refusal
    return msgspec.json.decode(content, type=Cursor)


def _signature(content: bytes, resource: str, ordering: Ordering) -> bytes:
    salt = f"apps.shared.api.pagination:{resource}:{ordering.name}"
    return salted_hmac(salt, content, algorithm="sha256").digest()[:SIGNATURE_BYTES]


def read_limit(text: str) -> int:
    """Return how many rows a page is asked to have."""
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and 1 <= int(text) <= MAX_LIMIT):
        raise invalid_parameter("limit", "limit", f"Must lie between 1 and {MAX_LIMIT}.")
    return int(text)


class Beyond(Func):
    """Rows behind a place, compared as one pair, so that one index serves both columns."""

    output_field = BooleanField()
    conditional = True

    def __init__(self, field: str, value: Any, pk: Any, *, descending: bool) -> None:
        super().__init__(F(field), F("pk"), value, pk)
        self.sign = "<" if descending else ">"

    def as_sql(self, compiler: Any, connection: Any, *args: Any, **extra: Any) -> Any:
        texts, parameters = [], []
        for expression in self.source_expressions:
            sql, given = compiler.compile(expression)
            texts.append(sql)
            parameters.extend(given)
        column, key, value, pk = texts
        return f"({column}, {key}) {self.sign} ({value}, {pk})", parameters


def page_of(
    queryset: QuerySet[Any, Any], ordering: Ordering, cursor: Cursor | None, limit: int
) -> QuerySet[Any, Any]:
    """Return the rows behind the cursor, one more than ``limit``, in reading direction."""
    descending = ordering.descending ^ (cursor is not None and cursor.backwards)
    sign = "-" if descending else ""
    if cursor is not None:
        queryset = queryset.filter(_beyond(queryset.model, ordering, cursor, descending))
    if ordering.field == "pk":
        return queryset.order_by(f"{sign}pk")[: limit + 1]
    return queryset.order_by(f"{sign}{ordering.field}", f"{sign}pk")[: limit + 1]


def _beyond(model: type[models.Model], ordering: Ordering, cursor: Cursor, descending: bool) -> Any:
    meta = model._meta
    assert meta.pk is not None
    pk = meta.pk.to_python(cursor.pk)
    if ordering.field == "pk":
        return models.Q(**{"pk__lt" if descending else "pk__gt": pk})
    field: Any = meta.get_field(ordering.field)
    value = Value(field.to_python(cursor.value), output_field=field)
    return Beyond(ordering.field, value, Value(pk, output_field=meta.pk), descending=descending)


def page_as_json(
    request: HttpRequest,
    rows: list[tuple[str, str, str]],
    ordering: Ordering,
    cursor: Cursor | None,
    limit: int,
) -> bytes:
    """Return the body of a page: its rows (JSON, ordering value, key) and its neighbors."""
    backwards = cursor is not None and cursor.backwards
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
    # Whoever came from somewhere can go back there.
    behind = more if backwards else cursor is not None
    ahead = cursor is not None if backwards else more
    links: list[str | None] = []
    for wanted, row, back in ((ahead, rows[-1:], False), (behind, rows[:1], True)):
        if wanted and row:
            links.append(_link(request, Cursor(row[0][1], row[0][2], back), ordering))
        else:
            links.append(None)
    following, previous = map(msgspec.json.encode, links)
    shown = ",".join([row[0] for row in rows]).encode()
    return b'{"next":%b,"previous":%b,"results":[%b]}' % (following, previous, shown)


def _link(request: HttpRequest, cursor: Cursor, ordering: Ordering) -> str:
    query = request.GET.copy()
    query["cursor"] = cursor.text(request.path, ordering)
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
