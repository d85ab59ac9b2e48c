"""The cache of outside answers: what is in it, for how long, and throwing it away."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from django.db import transaction
from django.http import HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.logs.api.callers import DecisionPermission, name_of
from apps.market.api.rows_cache import (
    CacheEntryRow,
    CacheInvalidationAnswer,
    CacheInvalidationRow,
    CacheLookupAnswer,
    CacheLookupQuery,
    CacheRuleRow,
)
from apps.market.choices import InvalidationKind
from apps.market.models import ApiCacheEntry, CacheDailyStats, CacheInvalidation, CacheRule
from apps.market.services.cache import (
    forget_rules,
    invalidate,
    preview_invalidation,
    put_entries,
    read_entry,
)
from apps.shared.api import batches, filters
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import describe
from apps.shared.api.private import Private
from apps.shared.api.queries import read_query
from apps.shared.api.viewsets import (
    BULK_BODY_BYTES,
    EntityViewSet,
    ReadOnlyViewSet,
    answer,
)
from apps.shared.api.writing import once
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested

# No secret, but large: it makes a list heavy, so it comes where it is asked for.
ANSWERS = Private("market:read", "market.view_apicacheentry")


class ApiCacheEntryViewSet(EntityViewSet):
    """Answers of sources, under the key that says what was asked.

    PUT and POST keep an answer; under a key that is known it takes the place of the one before.
    ``expires_at`` may be named, or ``ttl_seconds``; without either the rule of its type says (see
    cache-rules/). After that it is kept until ``stale_until``, for the case that its source fails.

    Answers of the format ``json`` must be JSON; others are kept as the text they are, and never
    decoded. ``response_data`` is in no list unless ``fields=`` names it.
    """

    http_method_names = ["get", "post", "put", "head", "options"]
    queryset = ApiCacheEntry.objects.all()
    row = CacheEntryRow
    lookup_field = "cache_key"
    lookup_value_regex = ".+"
    # Answers may be large, and some of many rows are.
    body_bytes = BULK_BODY_BYTES
    sent_again = "A key that is known takes the new answer."
    fields = [
        "cache_key",
        "data_type",
        "api_source",
        "response_format",
        "cached_at",
        "expires_at",
        "stale_until",
        "hit_count",
        "last_accessed",
        "size_bytes",
        "metadata",
        "created_at",
        "updated_at",
    ]
    private_fields = {"response_data": ANSWERS}
    filterset_fields = {
        "cache_key": ANY_OF,
        "data_type": ANY_OF,
        "api_source": ANY_OF,
        "response_format": ANY_OF,
        "cached_at": RANGE,
        "expires_at": RANGE,
        "hit_count": RANGE,
        "size_bytes": RANGE,
    }
    ordering_fields = ["cached_at", "cache_key", "expires_at"]

    def fields_of(self, text: str) -> Sequence[str]:
        """Return the columns a query asks for; one entry by itself is answered whole."""
        if not text and self.action == "retrieve":
            return [*self.fields, *self.private_fields]
        return super().fields_of(text)

    def store(self, rows: Sequence[CacheEntryRow]) -> Ingested:
        """Keep answers; each says at most once how long it is fresh."""
        now, outcome = timezone.now(), Ingested()
        places = []
        for place, row in enumerate(rows):
            if row.ttl_seconds is not None and row.expires_at is not None:
                message = "Give either ttl_seconds or expires_at."
                outcome.fail(place, [FieldError("/ttl_seconds", "one_of", message)])
            else:
                places.append(place)
        outcome.merge(put_entries([with_end(rows[at], now) for at in places], now=now), places)
        outcome.sort()
        return outcome

    def replace(self, rows: Sequence[CacheEntryRow]) -> Ingested:
        return self.store(rows)

    @action(detail=False)
    @describe(query=CacheLookupQuery, answer=CacheLookupAnswer)
    def lookup(self, request: Request) -> HttpResponse:
        """Answer what is cached under a key, and count the hit or the miss.

        404 (``not_cached``) when there is nothing or it has expired. With ``stale`` an expired
        answer will do while it is kept; ``state`` then says *stale* and not *hit*. Reading the
        entry at its own address counts nothing.
        """
        asked = read_query(CacheLookupQuery, request)
        found = read_entry(key=asked.cache_key, now=timezone.now(), stale=asked.stale)
        if found is None:
            raise ApiError(404, "not_cached", "Nothing that is fresh is cached under this key.")
        entry = found.entry
        return answer(
            CacheLookupAnswer(
                state=found.state,
                cache_key=entry.cache_key,
                data_type=entry.data_type,
                api_source=entry.api_source,
                response_data=entry.response_data,
                response_format=entry.response_format,
                cached_at=entry.cached_at,
                expires_at=entry.expires_at,
            )
        )

    @action(
        detail=False,
        methods=["post"],
        url_path="invalidate",
        permission_classes=[DecisionPermission],
    )
    @describe(body=CacheInvalidationRow, answer=CacheInvalidationAnswer)
    def throw_away(self, request: Request) -> HttpResponse:
        """Throw entries away: by a part of their key, their type, their source, or all of them.

        In a part of the key * stands for anything and every other character for itself: % finds
        keys with a percent sign, and nothing else. With ``preview`` entries are counted, and stay;
        otherwise the log keeps what was done.
        """
        filters.check_known(request._request.GET, [])
        row = self.read_one(request, CacheInvalidationRow)
        kind = InvalidationKind(row.kind)
        check_pattern(kind, row.pattern)
        if row.preview:
            found = preview_invalidation(kind=kind, pattern=row.pattern)
            return answer(
                CacheInvalidationAnswer(
                    id=None,
                    kind=row.kind,
                    pattern=row.pattern,
                    reason=row.reason,
                    preview=True,
                    entries_affected=found.entries,
                    size_bytes=found.bytes,
                    first_keys=found.first_keys,
                )
            )
        by = name_of(request)
        done = once(
            lambda: invalidate(
                kind=kind, pattern=row.pattern, reason=row.reason, by=by, now=timezone.now()
            )
        )
        return answer(
            CacheInvalidationAnswer(
                id=done.pk,
                kind=done.kind,
                pattern=done.pattern,
                reason=done.reason,
                preview=False,
                entries_affected=done.entries_affected,
                invalidated_at=done.invalidated_at,
                invalidated_by=done.invalidated_by,
            )
        )


def with_end(row: CacheEntryRow, now: datetime) -> CacheEntryRow:
    """Return a row that says until when it is fresh, where it said for how long."""
    if row.ttl_seconds is None:
        return row
    return msgspec.structs.replace(row, expires_at=now + timedelta(seconds=row.ttl_seconds))


def check_pattern(kind: InvalidationKind, pattern: str) -> None:
    """Refuse a word where all is meant, and none where a part is meant."""
    if kind is InvalidationKind.ALL and pattern:
        message = "Must be empty: everything is thrown away. Name another kind for a part."
        raise batches.invalid([FieldError("/pattern", "not_for_all", message)])
    if kind is not InvalidationKind.ALL and not pattern:
        message = "Must not be empty; the kind for everything is all."
        raise batches.invalid([FieldError("/pattern", "empty", message)])


class CacheRuleViewSet(EntityViewSet):
    """How long answers of each type are fresh, and how long they stand in while a source fails.

    The rule ``default`` answers for types without one of their own. A rule holds for what is
    cached from then on.
    """

    queryset = CacheRule.objects.all()
    row = CacheRuleRow
    lookup_field = "data_type"
    lookup_value_regex = ".+"
    fields = [*CacheRuleRow.__struct_fields__, "created_at", "updated_at"]
    filterset_fields = {"data_type": ANY_OF, "ttl_seconds": RANGE, "stale_seconds": RANGE}
    ordering_fields = ["data_type", "created_at"]
    ordering = "data_type"

    def replace(self, rows: Sequence[CacheRuleRow]) -> Ingested:
        outcome = super().replace(rows)
        transaction.on_commit(forget_rules)
        return outcome


class CacheDailyStatsViewSet(ReadOnlyViewSet):
    """What the cache did on each UTC day.

    A hit is an answer out of the cache, a miss a call that had to be made, stale an answer given
    out past its time because its source failed. Counts come in by the minute.
    """

    queryset = CacheDailyStats.objects.all()
    fields = [
        "date",
        "total_hits",
        "total_misses",
        "total_writes",
        "total_invalidations",
        "total_stale",
        "total_errors",
        "unique_keys",
        "total_size_bytes",
        "updated_at",
    ]
    filterset_fields = {"date": RANGE}
    ordering_fields = ["date"]
    lookup_field = "date"


class CacheInvalidationViewSet(ReadOnlyViewSet):
    """What was thrown away before its time: by which word, by whom, why, and how much."""

    queryset = CacheInvalidation.objects.all()
    fields = [
        "id",
        "kind",
        "pattern",
        "reason",
        "invalidated_at",
        "entries_affected",
        "invalidated_by",
    ]
    filterset_fields = {
        "kind": ANY_OF,
        "invalidated_by": ANY_OF,
        "invalidated_at": RANGE,
        "entries_affected": RANGE,
    }
    ordering_fields = ["invalidated_at"]
