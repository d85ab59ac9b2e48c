"""What is traded."""

from functools import cache
from zoneinfo import available_timezones

from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models

from apps.market.choices import AssetClass
from apps.shared.models import TimestampedModel, known_choices

NO_TIMEZONE = "Not a time zone: use a name such as Europe/Berlin."
# Reading all of their names takes a while.
timezones = cache(available_timezones)


def known_timezone(name: str) -> None:
    """Refuse a word that names no time zone."""
    if name not in timezones():
        raise ValidationError(NO_TIMEZONE)


class Instrument(TimestampedModel):
    """Something that has a price: a coin pair, a share, a currency pair."""

    symbol = models.CharField(max_length=50, unique=True)
    company_name = models.CharField("name", max_length=255, blank=True)
    asset_class = models.CharField(max_length=10, choices=AssetClass, default=AssetClass.OTHER)
    quote_currency = models.CharField(max_length=20, blank=True)
    price_precision = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Digits behind the point of a price."
    )
    size_precision = models.PositiveSmallIntegerField(
        null=True, blank=True, help_text="Digits behind the point of a size."
    )
    primary_source = models.CharField(
        max_length=50,
        blank=True,
        help_text="The candles that outcomes are judged on. Empty: the freshest source.",
    )
    sector = models.CharField(max_length=100, blank=True)
    industry = models.CharField(max_length=150, blank=True)
    market_cap = models.BigIntegerField(null=True, blank=True, validators=[MinValueValidator(0)])
    country = models.CharField(max_length=100, blank=True)
    currency = models.CharField(max_length=10, blank=True)
    exchange = models.CharField(max_length=50, blank=True)
    source = models.CharField(
        max_length=50, blank=True, help_text="Where this description comes from."
    )
    timezone = models.CharField(
        "time zone",
        max_length=50,
        blank=True,
        validators=[known_timezone],
        help_text="Of its trading hours, e.g. Europe/Berlin. Empty: New York for equities, else "
        "UTC.",
    )
    active = models.BooleanField(default=True)

    class Meta:
        db_table = "instruments"
        ordering = ["symbol"]
        indexes = [
            models.Index(fields=["sector"], name="idx_stock_info_sector"),
            models.Index(fields=["industry"], name="idx_stock_info_industry"),
            models.Index(fields=["exchange"], name="idx_stock_info_exchange"),
        ]
        constraints = [
            known_choices("asset_class", AssetClass, name="instruments_asset_class_known"),
            models.CheckConstraint(
                condition=~models.Q(symbol=""), name="instruments_symbol_not_empty"
            ),
        ]

    def __str__(self) -> str:
        return self.symbol

    @property
    def zone(self) -> str:
        """The time zone of its trading hours."""
        return self.timezone or AssetClass(self.asset_class).zone
