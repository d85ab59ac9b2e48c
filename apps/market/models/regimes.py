"""How markets move: their regimes, day by day."""

from django.db import models

from apps.market.choices import DominantTrend, RegimeType, VolatilityRegime
from apps.shared import fields
from apps.shared.models import CreatedModel, known_choices

# Ours, beside those that others report.
OWN_SOURCE = "blotter"


class MarketRegime(CreatedModel):
    """The regime of one market from a moment on, as one source says.

    Ours is said of a UTC day from its candles, and is known when that day has ended.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    timestamp = models.DateTimeField()
    regime_type = models.CharField("regime", max_length=30, choices=RegimeType)
    volatility_regime = models.CharField("volatility", max_length=20, choices=VolatilityRegime)
    dominant_trend = models.CharField("trend", max_length=20, choices=DominantTrend)
    confidence = fields.Ratio(null=True, blank=True, help_text="0 to 1.")
    indicators_json = models.JSONField("indicators", default=dict, blank=True)

    class Meta:
        db_table = "market_regime"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "source", "timestamp"], name="market_regime_one_per_moment"
            ),
            known_choices("regime_type", RegimeType, name="market_regime_type_known"),
            known_choices(
                "volatility_regime", VolatilityRegime, name="market_regime_volatility_known"
            ),
            known_choices("dominant_trend", DominantTrend, name="market_regime_trend_known"),
            models.CheckConstraint(
                condition=models.Q(confidence__isnull=True)
                | models.Q(confidence__gte=0, confidence__lte=1),
                name="market_regime_confidence_is_share",
            ),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="market_regime_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timestamp:%Y-%m-%d} ({self.source})"
