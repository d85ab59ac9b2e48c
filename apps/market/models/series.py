"""Series beside prices: what a chain shows, and what people feel."""

from django.db import models

from apps.shared.models import CreatedModel, real


class OnchainMetric(CreatedModel):
    """One value of one measure of a chain, as one source says."""

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    timestamp = models.DateTimeField()
    metric_name = models.CharField("metric", max_length=100)
    metric_value = models.FloatField("value")

    class Meta:
        db_table = "onchain_data"
        verbose_name = "on-chain value"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "source", "metric_name", "timestamp"],
                include=["metric_value"],
                name="onchain_data_one_per_moment",
            ),
            real("metric_value", name="onchain_data_value_finite"),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="onchain_data_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.metric_name} {self.timestamp:%Y-%m-%d %H:%M} ({self.source})"


class SentimentScore(CreatedModel):
    """How a market is felt about at a moment, as one source says."""

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    timestamp = models.DateTimeField()
    sentiment_score = models.FloatField("score")

    class Meta:
        db_table = "sentiment_data"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "source", "timestamp"],
                include=["sentiment_score"],
                name="sentiment_data_one_per_moment",
            ),
            real("sentiment_score", name="sentiment_data_score_finite"),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="sentiment_data_timestamp_idx")]

    def __str__(self) -> str:
        return f"{self.symbol} {self.timestamp:%Y-%m-%d %H:%M} ({self.source})"
