"""Prices over time."""

from django.db import models
from django.db.models import F, Q

from apps.market.choices import Granularity
from apps.shared import fields
from apps.shared.models import CreatedModel, known_choices, positive


class Candle(CreatedModel):
    """What one source says of one interval: it starts at ``timestamp`` and is known at its end.

    The symbol is text, not a foreign key: candles arrive by the hundred thousand, and a
    check per row would cost more than the row.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    granularity = models.CharField(max_length=3, choices=Granularity)
    timestamp = models.DateTimeField()
    open = fields.Price()
    high = fields.Price()
    low = fields.Price()
    close = fields.Price()
    volume = fields.Size()

    class Meta:
        db_table = "candles"
        constraints = [
            # Also the index that every price lookup runs on, without touching the table.
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity", "timestamp"],
                include=["high", "low", "close"],
                name="candles_one_per_interval",
            ),
            known_choices("granularity", Granularity, name="candles_granularity_known"),
            positive("low", name="candles_low_positive"),
            models.CheckConstraint(
                condition=Q(open__gte=F("low"), open__lte=F("high"))
                & Q(close__gte=F("low"), close__lte=F("high"))
                & Q(high__lt=fields.PRICE_LIMIT),
                name="candles_high_low_enclose",
            ),
            models.CheckConstraint(
                condition=Q(volume__gte=0, volume__lt=fields.PRICE_LIMIT),
                name="candles_volume_not_negative",
            ),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="candles_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.granularity} {self.timestamp:%Y-%m-%d %H:%M} ({self.source})"
