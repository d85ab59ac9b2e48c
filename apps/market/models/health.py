"""How sound stored candles are: series, their days, and what is wrong with them."""

from typing import Self

from django.db import models
from django.db.models import F, Q

from apps.market.choices import DefectKind, Granularity
from apps.shared.models import TimestampedModel, known_choices, real


class CandleSeries(TimestampedModel):
    """All candles of one symbol from one source at one granularity, and how sound they are.

    Whoever stores candles locks this row first, so whoever holds its lock sees every candle
    that was stored before. ``recheck_from`` is the earliest start that came or changed behind
    ``checked_until``.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    granularity = models.CharField(max_length=3, choices=Granularity)
    first_timestamp = models.DateTimeField("first")
    last_timestamp = models.DateTimeField("last")
    checked_until = models.DateTimeField(null=True, blank=True)
    recheck_from = models.DateTimeField(null=True, blank=True)
    checked_at = models.DateTimeField("checked", null=True, blank=True)
    candles = models.BigIntegerField(default=0, db_default=0)
    expected = models.BigIntegerField(null=True, blank=True)
    missing = models.BigIntegerField(null=True, blank=True)
    gaps = models.IntegerField(default=0, db_default=0)
    duplicates = models.IntegerField("repeated candles", default=0, db_default=0)
    zero_volume = models.IntegerField("zero volume", default=0, db_default=0)
    outliers = models.IntegerField(default=0, db_default=0)
    spreads = models.IntegerField("differing sources", default=0, db_default=0)

    class Meta:
        db_table = "candle_series"
        ordering = ["symbol", "source", "granularity"]
        verbose_name = "series of candles"
        verbose_name_plural = "series of candles"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity"], name="candle_series_unique"
            ),
            known_choices("granularity", Granularity, name="candle_series_granularity_known"),
            models.CheckConstraint(
                condition=Q(first_timestamp__lte=F("last_timestamp")),
                name="candle_series_first_before_last",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.granularity} from {self.source}"


class CandleDay(models.Model):
    """How many candles of a series one UTC day has, of how many that were to be expected."""

    series = models.ForeignKey(CandleSeries, models.CASCADE, db_index=False, related_name="days")
    day = models.DateField()
    candles = models.IntegerField()
    expected = models.IntegerField(null=True, blank=True)
    zero_volume = models.IntegerField(default=0, db_default=0)
    defects = models.IntegerField(default=0, db_default=0)

    class Meta:
        db_table = "candle_days"
        constraints = [
            models.UniqueConstraint(
                fields=["series", "day"],
                include=["candles", "expected", "defects"],
                name="candle_days_one_per_day",
            ),
            models.CheckConstraint(condition=Q(candles__gte=0), name="candle_days_not_negative"),
        ]
        indexes = [models.Index(fields=["day", "id"], name="candle_days_day_idx")]

    def __str__(self) -> str:
        return f"{self.series_id} {self.day}"


class CandleDefectQuerySet(models.QuerySet["CandleDefect"]):
    def open(self) -> Self:
        """Defects that nobody has accepted."""
        return self.filter(accepted_at__isnull=True)


class CandleDefect(models.Model):
    """Something wrong with the candles of a series, from ``start`` to before ``end``."""

    series = models.ForeignKey(CandleSeries, models.CASCADE, db_index=False, related_name="defects")
    kind = models.CharField(max_length=12, choices=DefectKind)
    start = models.DateTimeField()
    end = models.DateTimeField()
    candles = models.IntegerField(help_text="How many intervals it covers.")
    value = models.FloatField(
        null=True,
        blank=True,
        help_text="An outlier in robust deviations, a difference of sources in percent.",
    )
    detail = models.CharField(max_length=300, blank=True)
    found_at = models.DateTimeField("found", db_default=models.functions.Now())
    accepted_at = models.DateTimeField("accepted", null=True, blank=True)
    accepted_by = models.CharField(max_length=150, blank=True, db_default="")

    objects = CandleDefectQuerySet.as_manager()

    class Meta:
        db_table = "candle_defects"
        constraints = [
            models.UniqueConstraint(
                fields=["series", "kind", "start"], name="candle_defects_one_per_start"
            ),
            known_choices("kind", DefectKind, name="candle_defects_kind_known"),
            models.CheckConstraint(
                condition=Q(end__gt=F("start")), name="candle_defects_end_after_start"
            ),
            real("value", name="candle_defects_value_finite"),
        ]
        indexes = [
            models.Index(fields=["start", "id"], name="candle_defects_start_idx"),
            models.Index(fields=["kind", "start"], name="candle_defects_kind_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.start:%Y-%m-%d %H:%M} ({self.series_id})"
