"""What leaves the cache: by expiry, and because somebody wants it gone."""

from datetime import datetime
from typing import NamedTuple

import pglock
from django.db import connection, transaction
from django.db.models import BooleanField, Count, F, Func, QuerySet, Sum, Value
from django.db.models.functions import Coalesce, Collate

from apps.market.choices import InvalidationKind
from apps.market.domain.cache import PatternRefused, like_text, pattern_holds
from apps.market.models import ApiCacheEntry, CacheInvalidation
from apps.market.services.cache.counting import Counted, flush_counts, write
from apps.market.services.cache.entries import Kept

BATCH = 1_000
FIRST_KEYS = 20
# Held by who throws away, shared by who keeps: an answer is either seen or sees what was done.
THROWING = "market.cache.throwing"

EXPIRE_SQL = """
DELETE FROM api_cache WHERE id IN (
    SELECT id FROM api_cache WHERE stale_until <= %s
    ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED
)
"""
MEASURE_SQL = """
INSERT INTO cache_stats (date, unique_keys, total_size_bytes, updated_at)
SELECT %s, count(*), coalesce(sum(size_bytes), 0), now() FROM api_cache
ON CONFLICT (date) DO UPDATE
SET unique_keys = excluded.unique_keys, total_size_bytes = excluded.total_size_bytes,
    updated_at = excluded.updated_at
"""


class Preview(NamedTuple):
    """What an invalidation would throw away: how many entries, their bytes, the first keys."""

    entries: int
    bytes: int
    first_keys: list[str]


def expire(*, now: datetime) -> int:
    """Delete entries that may not even stand in any more; return how many.

    In batches, each in a transaction of its own. Writes the day's number of entries and their
    size as they are then, and what this process has counted.
    """
    flush_counts()
    deleted = 0
    while True:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(EXPIRE_SQL, [now, BATCH])
            found = int(cursor.rowcount)
        deleted += found
        if found < BATCH:
            break
    with connection.cursor() as cursor:
        cursor.execute(MEASURE_SQL, [now.date()])
    return deleted


def preview_invalidation(*, kind: str, pattern: str) -> Preview:
    """Return what ``invalidate`` would throw away now; PatternRefused as it would."""
    chosen = matching(kind, pattern)
    sums = chosen.aggregate(entries=Count("id"), bytes=Coalesce(Sum("size_bytes"), 0))
    keys = chosen.order_by("cache_key").values_list("cache_key", flat=True)[:FIRST_KEYS]
    return Preview(sums["entries"], sums["bytes"], list(keys))


@transaction.atomic
def invalidate(
    *, kind: str, pattern: str, reason: str, by: str, now: datetime
) -> CacheInvalidation:
    """Throw entries away, and log and count that.

    ``kind`` says what ``pattern`` is: part of the key (literally, ``*`` for anything), a type of
    data, a source, a key; of kind "all" it must be empty. Raises PatternRefused.
    """
    chosen = matching(kind, pattern)
    pglock.advisory(THROWING, xact=True).acquire()
    # In one order with those who write hits, so that they do not wait in a circle.
    in_order = chosen.order_by(Collate("cache_key", "C")).select_for_update()
    held = list(in_order.values_list("id", flat=True))
    deleted, _ = ApiCacheEntry.objects.filter(id__in=held).delete()
    with connection.cursor() as cursor:
        counted = Counted()
        counted.days[now.date(), "invalidations"] = deleted
        write(cursor, counted)
    return CacheInvalidation.objects.create(
        kind=kind,
        pattern=pattern,
        reason=reason[:255] or "Manual invalidation",
        invalidated_at=now,
        entries_affected=deleted,
        invalidated_by=by[:150],
    )


def last_invalidation() -> int:
    """Return the number of the last invalidation, 0 before the first."""
    last = CacheInvalidation.objects.order_by("-pk").values_list("pk", flat=True).first()
    return last or 0


def was_thrown_away(kept: Kept, *, after: int) -> bool:
    """Say whether an invalidation after that of a number meant such an answer.

    Hold ``THROWING``, shared, until the answer is kept.
    """
    done = CacheInvalidation.objects.filter(pk__gt=after)
    return any(
        kind == InvalidationKind.ALL
        or (kind == InvalidationKind.PATTERN and pattern_holds(pattern, kept.key))
        or (kind, pattern)
        in {
            (InvalidationKind.TYPE, kept.data_type),
            (InvalidationKind.SOURCE, kept.source),
            (InvalidationKind.KEY, kept.key),
        }
        for kind, pattern in done.values_list("kind", "pattern")
    )


def matching(kind: str, pattern: str) -> QuerySet[ApiCacheEntry]:
    """Return the entries that a kind and its pattern mean; PatternRefused when they mean none."""
    entries = ApiCacheEntry.objects.order_by()
    if kind == InvalidationKind.ALL:
        if pattern:
            raise PatternRefused('The kind "all" takes no pattern.')
        return entries
    if kind == InvalidationKind.PATTERN:
        return entries.filter(holds(like_text(pattern)))
    columns = {
        InvalidationKind.TYPE: "data_type",
        InvalidationKind.SOURCE: "api_source",
        InvalidationKind.KEY: "cache_key",
    }
    if kind not in columns:
        raise PatternRefused(f"There is no kind {kind[:20]!r}.")
    if not pattern or "\0" in pattern or len(pattern) > 255:
        raise PatternRefused(f'The kind "{kind}" needs a name of 1 to 255 characters.')
    return entries.filter(**{columns[InvalidationKind(kind)]: pattern})


def holds(like: str) -> Func:
    """Return the condition that a key is like this."""
    return Func(
        F("cache_key"),
        Value(like),
        template="%(expressions)s",
        arg_joiner=" LIKE ",
        output_field=BooleanField(),
    )
