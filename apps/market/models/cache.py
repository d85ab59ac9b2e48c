"""Answers of others, kept for a while, and how that goes."""

from datetime import datetime
from typing import Self

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import F, Q

from apps.market.choices import InvalidationKind, ResponseFormat
from apps.shared.models import TimestampedModel, known_choices


class CacheRule(TimestampedModel):
    """How long answers of one type of data are fresh, and how long they may stand in for others.

    The rule "default" answers for every type without one of its own.
    """

    data_type = models.CharField(max_length=50, unique=True)
    ttl_seconds = models.PositiveIntegerField(
        "fresh for (seconds)", validators=[MinValueValidator(1)]
    )
    stale_seconds = models.PositiveIntegerField(
        "kept after that (seconds)",
        default=0,
        help_text="Given out, marked as stale, while the source fails.",
    )
    description = models.CharField(max_length=255, blank=True)

    class Meta:
        db_table = "cache_rules"
        ordering = ["data_type"]
        constraints = [
            models.CheckConstraint(
                condition=Q(ttl_seconds__gt=0) & ~Q(data_type=""), name="cache_rules_positive"
            )
        ]

    def __str__(self) -> str:
        return self.data_type


class ApiCacheQuerySet(models.QuerySet["ApiCacheEntry"]):
    def fresh(self, now: datetime) -> Self:
        return self.filter(expires_at__gt=now)

    def past_use(self, now: datetime) -> Self:
        """Entries that not even a failing source can bring back."""
        return self.filter(stale_until__lte=now)


class ApiCacheEntry(TimestampedModel):
    """One answer of a source, under the key that says what was asked.

    Only JSON is ever read; what other programs stored in another format stays the text it is.
    """

    cache_key = models.CharField("key", max_length=255, unique=True)
    data_type = models.CharField(max_length=50)
    api_source = models.CharField("source", max_length=50)
    response_data = models.TextField("answer")
    response_format = models.CharField(
        "format", max_length=10, choices=ResponseFormat, default=ResponseFormat.JSON
    )
    cached_at = models.DateTimeField("cached")
    expires_at = models.DateTimeField("expires")
    stale_until = models.DateTimeField()
    hit_count = models.BigIntegerField("hits", default=0, db_default=0)
    last_accessed = models.DateTimeField("last read", null=True, blank=True)
    size_bytes = models.PositiveIntegerField("size", default=0)
    metadata = models.JSONField(default=dict, blank=True)

    objects = ApiCacheQuerySet.as_manager()

    class Meta:
        db_table = "api_cache"
        ordering = ["cache_key"]
        verbose_name = "cached answer"
        constraints = [
            known_choices("response_format", ResponseFormat, name="api_cache_format_known"),
            models.CheckConstraint(
                condition=Q(expires_at__gte=F("cached_at"), stale_until__gte=F("expires_at")),
                name="api_cache_times_in_order",
            ),
            models.CheckConstraint(
                condition=Q(hit_count__gte=0) & ~Q(cache_key=""), name="api_cache_key_named"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="idx_expires_at"),
            models.Index(fields=["stale_until"], name="api_cache_stale_until_idx"),
            models.Index(fields=["data_type"], name="idx_data_type"),
            models.Index(fields=["api_source"], name="idx_api_source"),
            models.Index(fields=["cached_at", "id"], name="api_cache_cached_idx"),
        ]

    def __str__(self) -> str:
        return self.cache_key


class CacheInvalidation(models.Model):
    """Cached answers that were thrown away before their time: which, by whom, and why."""

    kind = models.CharField(max_length=10, choices=InvalidationKind)
    pattern = models.CharField(max_length=255, blank=True)
    reason = models.CharField(max_length=255)
    invalidated_at = models.DateTimeField("when")
    entries_affected = models.PositiveIntegerField("entries")
    invalidated_by = models.CharField("by", max_length=150, blank=True)

    class Meta:
        db_table = "cache_invalidation_log"
        constraints = [
            known_choices("kind", InvalidationKind, name="cache_invalidations_kind_known")
        ]
        indexes = [
            models.Index(fields=["invalidated_at", "id"], name="cache_invalidations_when_idx")
        ]

    def __str__(self) -> str:
        words = f"{self.get_kind_display()} {self.pattern}".strip()
        return f"{words} {self.invalidated_at:%Y-%m-%d %H:%M} (no. {self.pk})"


class CacheDailyStats(models.Model):
    """What the cache did on one UTC day."""

    date = models.DateField(unique=True)
    total_hits = models.BigIntegerField("hits", default=0, db_default=0)
    total_misses = models.BigIntegerField("misses", default=0, db_default=0)
    total_writes = models.BigIntegerField("writes", default=0, db_default=0)
    total_invalidations = models.BigIntegerField("thrown away", default=0, db_default=0)
    total_stale = models.BigIntegerField("given out stale", default=0, db_default=0)
    total_errors = models.BigIntegerField("failed calls", default=0, db_default=0)
    unique_keys = models.IntegerField("entries", default=0, db_default=0)
    total_size_bytes = models.BigIntegerField("size", default=0, db_default=0)
    updated_at = models.DateTimeField(db_default=models.functions.Now())

    class Meta:
        db_table = "cache_stats"
        verbose_name_plural = "cache daily stats"

    def __str__(self) -> str:
        return f"{self.date}"
