"""What is fetched from outside, and how that goes."""

from datetime import datetime
from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q

from apps.market.choices import FeedState, Granularity, ProviderName
from apps.shared.models import TimestampedModel, known_choices

CONNECTION_NAME = RegexValidator(r"\A[A-Z][A-Z0-9_]*\Z", "Capital letters, digits, underscores.")


class FeedQuerySet(models.QuerySet["Feed"]):
    def due(self, moment: datetime) -> Self:
        """Enabled feeds whose next fetch has come, and that nobody has claimed."""
        return self.filter(enabled=True, next_fetch_at__lte=moment)

    def unhealthy(self) -> Self:
        return self.filter(enabled=True, state=FeedState.UNHEALTHY)


class Feed(TimestampedModel):
    """A series of candles that is fetched from a provider, and the health of doing so.

    Holds no secret: ``connection`` names what the environment holds.
    """

    provider = models.CharField(max_length=20, choices=ProviderName)
    exchange = models.CharField(
        max_length=50, blank=True, help_text="CCXT's name of the exchange, e.g. binance."
    )
    symbol = models.CharField(max_length=50)
    venue_symbol = models.CharField(
        max_length=50, blank=True, help_text="How the venue writes it. Empty: the same."
    )
    source = models.CharField(
        max_length=50, help_text="The source that its candles are stored under."
    )
    granularity = models.CharField(max_length=3, choices=Granularity)
    connection = models.CharField(
        max_length=50,
        blank=True,
        validators=[CONNECTION_NAME],
        help_text="NAME of the variables FEED_NAME_KEY, FEED_NAME_SECRET and FEED_NAME_URL.",
    )
    options = models.JSONField(
        default=dict, blank=True, help_text="What the provider takes beside that. No secrets."
    )
    enabled = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=FeedState, default=FeedState.IDLE)
    next_fetch_at = models.DateTimeField(db_default=models.functions.Now())
    last_fetch_at = models.DateTimeField(null=True, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    last_candle_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the newest candle fetched."
    )
    consecutive_failures = models.PositiveIntegerField(default=0)
    last_error = models.CharField(max_length=500, blank=True)

    objects = FeedQuerySet.as_manager()

    class Meta:
        db_table = "market_feeds"
        ordering = ["symbol", "source", "granularity"]
        constraints = [
            # Two feeds that write one series would overwrite each other for ever.
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity"], name="market_feeds_one_per_series"
            ),
            known_choices("provider", ProviderName, name="market_feeds_provider_known"),
            known_choices("granularity", Granularity, name="market_feeds_granularity_known"),
            known_choices("state", FeedState, name="market_feeds_state_known"),
            models.CheckConstraint(
                condition=~Q(symbol="") & ~Q(source=""), name="market_feeds_series_named"
            ),
        ]
        indexes = [
            models.Index(
                fields=["next_fetch_at"], condition=Q(enabled=True), name="market_feeds_due_idx"
            )
        ]

    def __str__(self) -> str:
        return f"{self.symbol} {self.granularity} from {self.source}"
