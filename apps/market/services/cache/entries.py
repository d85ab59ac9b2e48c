"""Entries of the cache: read one, keep one, take over what other programs report."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from time import monotonic
from typing import Any, Literal, NamedTuple, Protocol

from django.conf import settings
from django.db import connection, transaction

from apps.market.choices import ResponseFormat
from apps.market.domain.cache import (
    DEFAULT_RULES,
    LARGEST_PAYLOAD,
    NotJson,
    Rule,
    as_json,
    from_json,
    rule_for,
    size_of,
)
from apps.market.models import ApiCacheEntry, CacheRule
from apps.market.services.cache.counting import counts, flush_when_due
from apps.shared.copying import exact_json
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus

# Rules are edited by hand; each process learns of it within this.
RULES_SECONDS = 10.0
BUILT_IN = {rule.data_type: rule for rule in DEFAULT_RULES}

END_OF_TIME = datetime.max.replace(tzinfo=UTC)

# An answer that was asked for earlier never takes the place of a later one; but of one that comes
# from the future, for the clock has been set back since. Hits stay: they are those of the key.
KEEP_SQL = """
INSERT INTO api_cache AS kept (cache_key, data_type, api_source, response_data, response_format,
    cached_at, expires_at, stale_until, size_bytes, metadata, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (cache_key) DO UPDATE
SET data_type = excluded.data_type, api_source = excluded.api_source,
    response_data = excluded.response_data, response_format = excluded.response_format,
    cached_at = excluded.cached_at, expires_at = excluded.expires_at,
    stale_until = excluded.stale_until, size_bytes = excluded.size_bytes,
    metadata = excluded.metadata, updated_at = excluded.updated_at
WHERE kept.cached_at <= excluded.cached_at OR kept.cached_at > excluded.cached_at + %s
RETURNING (xmax = 0)
"""


class Kept(NamedTuple):
    """An answer to be kept: under which key, what it is, and until when it is fresh."""

    key: str
    data_type: str
    source: str
    text: str
    response_format: str
    metadata: Mapping[str, Any]
    expires_at: datetime
    stale_until: datetime


class ReportedEntry(Protocol):
    """What another program wants kept; times that are None follow from the rule of the type."""

    @property
    def cache_key(self) -> str: ...
    @property
    def data_type(self) -> str: ...
    @property
    def api_source(self) -> str: ...
    @property
    def response_data(self) -> str: ...
    @property
    def response_format(self) -> str: ...
    @property
    def expires_at(self) -> datetime | None: ...
    @property
    def metadata(self) -> Mapping[str, Any]: ...


class Found(NamedTuple):
    """An entry that answers, and whether it is fresh or only better than none."""

    entry: ApiCacheEntry
    state: Literal["hit", "stale"]


# --- Rules --------------------------------------------------------------------------------

_rules: tuple[float, Mapping[str, Rule]] = (0.0, {})


def learn_rules() -> None:
    """Read the rules, unless this process has done so some seconds ago."""
    global _rules
    if not _rules[0] or monotonic() - _rules[0] > RULES_SECONDS:
        rows = CacheRule.objects.values_list(*Rule._fields)
        _rules = monotonic(), {row[0]: Rule(*row) for row in rows}


def forget_rules() -> None:
    """Have this process read the rules anew: somebody has edited them."""
    global _rules
    _rules = (0.0, {})


def known_rule(data_type: str) -> Rule:
    """Return the rule of a type as it was last read, without a look at the table."""
    return rule_for(_rules[1] or BUILT_IN, data_type)


# --- One entry ----------------------------------------------------------------------------


def entry_at(key: str) -> ApiCacheEntry | None:
    """Return the entry of a key, however old; counts nothing."""
    return ApiCacheEntry.objects.filter(cache_key=key).first()


def is_fresh(entry: ApiCacheEntry, now: datetime) -> bool:
    """Say whether an entry is an answer at a moment; one that comes from the future is none."""
    return entry.cached_at <= now + settings.CLOCK_TOLERANCE and entry.expires_at > now


def stale_end(expires_at: datetime, rule: Rule) -> datetime:
    """Return until when an answer may stand in; the end of time where that is beyond it."""
    try:
        return expires_at + timedelta(seconds=rule.stale_seconds)
    except OverflowError:
        return END_OF_TIME


def read_entry(*, key: str, now: datetime, stale: bool = False) -> Found | None:
    """Return the entry of a key for another program, and count a hit or a miss.

    None when there is none or it has expired. With ``stale`` an expired one is returned too,
    for as long as it may stand in, and counted as a miss and as given out stale. What it holds
    is text: only that of JSON may be read.
    """
    entry = entry_at(key)
    if entry and is_fresh(entry, now):
        counts.note(["hits"], now=now, read=key)
        found: Found | None = Found(entry, "hit")
    elif entry and stale and entry.stale_until > now:
        counts.note(["misses", "stale"], now=now)
        found = Found(entry, "stale")
    else:
        counts.note(["misses"], now=now)
        found = None
    flush_when_due()
    return found


def keep(kept: Kept, *, now: datetime) -> bool | None:
    """Keep an answer of ``now`` in a transaction of its own; count a write.

    True: a new entry; False: in place of an older answer; None: a later one is kept already.
    """
    values: list[Any] = [
        kept.key, kept.data_type, kept.source, kept.text, kept.response_format,
        now, kept.expires_at, kept.stale_until, size_of(kept.text),
        exact_json.encode(dict(kept.metadata)).decode(),
        now, now, settings.CLOCK_TOLERANCE,
    ]  # fmt: skip
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(KEEP_SQL, values)
        row = cursor.fetchone()
    if row is None:
        return None
    counts.note(["writes"], now=now)
    return bool(row[0])


# --- What other programs report -------------------------------------------------------------


@transaction.atomic
def put_entries(rows: Sequence[ReportedEntry], *, now: datetime) -> Ingested:
    """Keep answers that other programs bring; say what became of each row.

    An entry of the same key is *replaced*. JSON must parse; text of another format is kept as
    it is and never read. A row that cannot be kept is *failed* and does not stop the others.
    """
    learn_rules()
    outcome = Ingested()
    good: dict[int, Kept] = {}
    for place, row in enumerate(rows):
        kept, errors = judged(row, now)
        if kept is None:
            outcome.fail(place, errors)
        else:
            good[place] = kept
    # In the order of their keys, so that two batches never wait for each other in a circle.
    for place, kept in sorted(good.items(), key=lambda pair: (pair[1].key, pair[0])):
        created = keep(kept, now=now)
        status = {True: RowStatus.CREATED, False: RowStatus.REPLACED, None: RowStatus.UNCHANGED}
        outcome.note(place, status[created])
    outcome.sort()
    return outcome


def judged(row: ReportedEntry, now: datetime) -> tuple[Kept | None, list[FieldError]]:
    """Return what is to be kept of a row, or everything that speaks against it."""
    errors = []
    texts = {"cache_key": 255, "data_type": 50, "api_source": 50, "response_data": None}
    for name, limit in texts.items():
        text = getattr(row, name)
        if not text or (limit and len(text) > limit) or not is_storable(text):
            wanted = f"1 to {limit} characters" if limit else "Not empty"
            errors.append(FieldError(f"/{name}", "text", f"{wanted}, without NUL."))
    if size_of(row.response_data) > LARGEST_PAYLOAD:
        errors.append(FieldError("/response_data", "too_large", "Larger than 8 MiB."))
    elif row.response_format == ResponseFormat.JSON:
        try:
            from_json(row.response_data)
        except NotJson as error:
            errors.append(FieldError("/response_data", "not_json", str(error)[:300]))
    elif row.response_format not in ResponseFormat.values:
        errors.append(
            FieldError("/response_format", "choice", "Is none of json, dataframe, pickle.")
        )
    try:
        as_json(dict(row.metadata))
        # The column is JSON of the database, which takes neither NUL nor half a character.
        if not all(map(is_storable, texts_in(row.metadata))):
            errors.append(FieldError("/metadata", "text", "Holds NUL or half a character."))
    except NotJson as error:
        errors.append(FieldError("/metadata", "not_json", str(error)[:300]))
    rule = known_rule(row.data_type)
    expires_at = row.expires_at or now + timedelta(seconds=rule.ttl_seconds)
    if expires_at <= now:
        errors.append(FieldError("/expires_at", "past", "Has passed already."))
    if errors:
        return None, errors
    kept = Kept(
        key=row.cache_key,
        data_type=row.data_type,
        source=row.api_source,
        text=row.response_data,
        response_format=row.response_format,
        metadata=row.metadata,
        expires_at=expires_at,
        stale_until=stale_end(expires_at, rule),
    )
    return kept, []


def texts_in(value: Any) -> Iterator[str]:
    """Return every text of a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield str(name)
            yield from texts_in(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from texts_in(inner)


def is_storable(text: str) -> bool:
    """Say whether the database takes a text: no NUL, no half of a character."""
    return "\0" not in text and text.encode(errors="replace") == text.encode(errors="surrogatepass")
