"""Features of candles: the vectors, the versions of their definition, where each series stands."""

from typing import Self

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import F, Q

from apps.market.choices import FeatureOrigin, Granularity
from apps.shared.models import CreatedModel, TimestampedModel, known_choices, real

# Compared number by number: no leading zeros, and parts that fit an integer.
VERSION_PATTERN = r"^(0|[1-9][0-9]{0,8})(\.(0|[1-9][0-9]{0,8}))*$"


class FeatureVersion(TimestampedModel):
    """A definition of features: what its columns mean, and who computes them."""

    version = models.CharField(
        max_length=20,
        unique=True,
        validators=[RegexValidator(VERSION_PATTERN, "Numbers separated by points, e.g. 3.1.")],
    )
    origin = models.CharField(max_length=10, choices=FeatureOrigin, default=FeatureOrigin.REPORTED)
    description = models.TextField(blank=True)
    definition_hash = models.CharField(
        max_length=64, blank=True, help_text="Changes whenever a formula does."
    )
    columns = models.JSONField(default=list, blank=True, help_text="The columns it fills.")
    is_causal = models.BooleanField(
        "causal", default=True, help_text="No value knows what came after its candle."
    )
    built = models.BooleanField(default=False, help_text="Kept up to date after new candles.")
    granularities = models.JSONField(
        default=list, blank=True, help_text='The candles it is built from, e.g. ["1h", "1d"].'
    )

    class Meta:
        db_table = "feature_versions"
        ordering = ["version"]
        constraints = [
            known_choices("origin", FeatureOrigin, name="feature_versions_origin_known"),
            models.CheckConstraint(
                condition=Q(version__regex=VERSION_PATTERN), name="feature_versions_are_numbers"
            ),
            models.CheckConstraint(
                condition=Q(built=False) | Q(origin=FeatureOrigin.COMPUTED),
                name="feature_versions_built_only_here",
            ),
        ]

    def __str__(self) -> str:
        return self.version


class FeatureSeriesQuerySet(models.QuerySet["FeatureSeries"]):
    def failing(self) -> Self:
        """Series whose features could not be computed."""
        return self.exclude(error="")


class FeatureSeries(TimestampedModel):
    """The features of one series of candles in one version: from what, how many, until when.

    ``state`` and ``tail`` are what the next candle is computed from; the tail is the long one
    and is rewritten seldom.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    granularity = models.CharField(max_length=3, choices=Granularity)
    feature_version = models.ForeignKey(
        FeatureVersion,
        models.PROTECT,
        to_field="version",
        db_column="feature_version",
        db_index=False,
        related_name="series",
    )
    rows = models.BigIntegerField(default=0, db_default=0)
    rsi_rows = models.BigIntegerField("rows with RSI", default=0, db_default=0)
    ma_rows = models.BigIntegerField("rows with average", default=0, db_default=0)
    first_timestamp = models.DateTimeField("first", null=True, blank=True)
    last_timestamp = models.DateTimeField("last", null=True, blank=True)
    latest_rsi = models.FloatField("latest RSI", null=True, blank=True)
    latest_ma = models.FloatField("latest average", null=True, blank=True)
    computed_at = models.DateTimeField("computed", null=True, blank=True)
    definition_hash = models.CharField(max_length=64, blank=True)
    timezone = models.CharField("time zone", max_length=50, blank=True)
    changed_from = models.DateTimeField(
        null=True, blank=True, help_text="Candles from here on came late or were replaced."
    )
    state = models.BinaryField(null=True)
    tail = models.BinaryField(null=True)
    tail_until = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0, db_default=0)
    retry_at = models.DateTimeField(null=True, blank=True)
    error = models.CharField(max_length=500, blank=True, db_default="")
    execution_id = models.CharField("execution", max_length=100, blank=True, db_default="")

    objects = FeatureSeriesQuerySet.as_manager()

    class Meta:
        db_table = "feature_series"
        ordering = ["symbol", "source", "granularity", "feature_version"]
        verbose_name_plural = "feature series"
        constraints = [
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity", "feature_version"],
                name="feature_series_one_per_version",
            ),
            known_choices("granularity", Granularity, name="feature_series_granularity_known"),
            models.CheckConstraint(
                condition=Q(rows__gte=0, rsi_rows__gte=0, ma_rows__gte=0)
                & Q(rsi_rows__lte=F("rows"), ma_rows__lte=F("rows")),
                name="feature_series_counts_within_rows",
            ),
            real("latest_rsi", "latest_ma", name="feature_series_latest_finite"),
        ]
        indexes = [
            models.Index(
                fields=["changed_from"],
                condition=Q(changed_from__isnull=False),
                name="feature_series_changed_idx",
            )
        ]

    def __str__(self) -> str:
        return (
            f"{self.symbol} {self.granularity} ({self.source}), version {self.feature_version_id}"
        )


class FeatureVector(CreatedModel):
    """What is known of a market at the close of one candle: a hundred columns.

    Empty is what the history before it does not tell yet.
    """

    symbol = models.CharField(max_length=50)
    source = models.CharField(max_length=50)
    granularity = models.CharField(max_length=3, choices=Granularity)
    feature_version = models.CharField("version", max_length=20)
    timestamp = models.DateTimeField()
    open = models.FloatField(null=True, blank=True)
    high = models.FloatField(null=True, blank=True)
    low = models.FloatField(null=True, blank=True)
    close = models.FloatField(null=True, blank=True)
    volume = models.FloatField(null=True, blank=True)
    returns = models.FloatField(null=True, blank=True)
    log_returns = models.FloatField(null=True, blank=True)
    high_low_pct = models.FloatField(null=True, blank=True)
    open_close_pct = models.FloatField(null=True, blank=True)
    price_acceleration = models.FloatField(null=True, blank=True)
    returns_sign = models.FloatField(null=True, blank=True)
    returns_squared = models.FloatField(null=True, blank=True)
    realized_vol_short = models.FloatField(null=True, blank=True)
    realized_vol_med = models.FloatField(null=True, blank=True)
    realized_vol_long = models.FloatField(null=True, blank=True)
    gk_volatility = models.FloatField(null=True, blank=True)
    vol_of_vol = models.FloatField(null=True, blank=True)
    price_ma_short = models.FloatField(null=True, blank=True)
    price_ma_med = models.FloatField(null=True, blank=True)
    price_ma_long = models.FloatField(null=True, blank=True)
    price_to_ma_short = models.FloatField(null=True, blank=True)
    price_to_ma_med = models.FloatField(null=True, blank=True)
    price_to_ma_long = models.FloatField(null=True, blank=True)
    ma_short_to_med = models.FloatField(null=True, blank=True)
    ma_med_to_long = models.FloatField(null=True, blank=True)
    volume_ma = models.FloatField(null=True, blank=True)
    volume_ratio = models.FloatField(null=True, blank=True)
    log_volume = models.FloatField(null=True, blank=True)
    vpt = models.FloatField(null=True, blank=True)
    vpt_ma = models.FloatField(null=True, blank=True)
    vpt_normalized = models.FloatField(null=True, blank=True)
    mfi = models.FloatField(null=True, blank=True)
    rsi_1d = models.FloatField(null=True, blank=True)
    rsi_3d = models.FloatField(null=True, blank=True)
    rsi_1w = models.FloatField(null=True, blank=True)
    rsi_2w = models.FloatField(null=True, blank=True)
    rsi_ema = models.FloatField(null=True, blank=True)
    hour = models.IntegerField(null=True, blank=True)
    day_of_week = models.IntegerField(null=True, blank=True)
    date = models.CharField(max_length=20, null=True, blank=True)
    hour_sin = models.FloatField(null=True, blank=True)
    hour_cos = models.FloatField(null=True, blank=True)
    dow_sin = models.FloatField(null=True, blank=True)
    dow_cos = models.FloatField(null=True, blank=True)
    is_market_open = models.IntegerField(null=True, blank=True)
    is_morning = models.IntegerField(null=True, blank=True)
    is_afternoon = models.IntegerField(null=True, blank=True)
    hours_since_open = models.FloatField(null=True, blank=True)
    hours_to_close = models.FloatField(null=True, blank=True)
    returns_from_daily_open = models.FloatField(null=True, blank=True)
    intraday_high = models.FloatField(null=True, blank=True)
    intraday_low = models.FloatField(null=True, blank=True)
    intraday_range_pct = models.FloatField(null=True, blank=True)
    position_in_range = models.FloatField(null=True, blank=True)
    overnight_gap = models.FloatField(null=True, blank=True)
    dist_from_intraday_high = models.FloatField(null=True, blank=True)
    dist_from_intraday_low = models.FloatField(null=True, blank=True)
    returns_lag_1 = models.FloatField(null=True, blank=True)
    vol_lag_1 = models.FloatField(null=True, blank=True)
    volume_ratio_lag_1 = models.FloatField(null=True, blank=True)
    returns_lag_2 = models.FloatField(null=True, blank=True)
    vol_lag_2 = models.FloatField(null=True, blank=True)
    volume_ratio_lag_2 = models.FloatField(null=True, blank=True)
    returns_lag_4 = models.FloatField(null=True, blank=True)
    vol_lag_4 = models.FloatField(null=True, blank=True)
    volume_ratio_lag_4 = models.FloatField(null=True, blank=True)
    returns_lag_8 = models.FloatField(null=True, blank=True)
    vol_lag_8 = models.FloatField(null=True, blank=True)
    volume_ratio_lag_8 = models.FloatField(null=True, blank=True)
    returns_lag_24 = models.FloatField(null=True, blank=True)
    vol_lag_24 = models.FloatField(null=True, blank=True)
    volume_ratio_lag_24 = models.FloatField(null=True, blank=True)
    returns_mean_6h = models.FloatField(null=True, blank=True)
    returns_std_6h = models.FloatField(null=True, blank=True)
    returns_skew_6h = models.FloatField(null=True, blank=True)
    returns_kurt_6h = models.FloatField(null=True, blank=True)
    price_momentum_6h = models.FloatField(null=True, blank=True)
    returns_mean_12h = models.FloatField(null=True, blank=True)
    returns_std_12h = models.FloatField(null=True, blank=True)
    returns_skew_12h = models.FloatField(null=True, blank=True)
    returns_kurt_12h = models.FloatField(null=True, blank=True)
    price_momentum_12h = models.FloatField(null=True, blank=True)
    returns_mean_24h = models.FloatField(null=True, blank=True)
    returns_std_24h = models.FloatField(null=True, blank=True)
    returns_skew_24h = models.FloatField(null=True, blank=True)
    returns_kurt_24h = models.FloatField(null=True, blank=True)
    price_momentum_24h = models.FloatField(null=True, blank=True)
    bb_upper = models.FloatField(null=True, blank=True)
    bb_lower = models.FloatField(null=True, blank=True)
    bb_position = models.FloatField(null=True, blank=True)
    bb_squeeze = models.FloatField(null=True, blank=True)
    macd = models.FloatField(null=True, blank=True)
    macd_signal = models.FloatField(null=True, blank=True)
    macd_histogram = models.FloatField(null=True, blank=True)
    macd_normalized = models.FloatField(null=True, blank=True)
    atr = models.FloatField(null=True, blank=True)
    atr_normalized = models.FloatField(null=True, blank=True)
    williams_r = models.FloatField(null=True, blank=True)
    updated_at = models.DateTimeField(
        auto_now=True, db_default=models.functions.Now(), editable=False
    )

    class Meta:
        db_table = "feature_engineered_data"
        constraints = [
            # Also the index that charts and the coverage of a symbol run on.
            models.UniqueConstraint(
                fields=["symbol", "source", "granularity", "feature_version", "timestamp"],
                include=["rsi_1d", "price_ma_short"],
                name="feature_vectors_one_per_candle",
            ),
            known_choices("granularity", Granularity, name="feature_vectors_granularity_known"),
        ]
        indexes = [models.Index(fields=["timestamp", "id"], name="feature_vectors_time_idx")]

    def __str__(self) -> str:
        return (
            f"{self.symbol} {self.granularity} {self.timestamp:%Y-%m-%d %H:%M} "
            f"({self.source}, {self.feature_version})"
        )


class FeatureCoverage(models.Model):
    """How complete the features of a symbol are, over the last ninety days, as of a moment."""

    symbol = models.CharField(max_length=50, primary_key=True)
    latest_timestamp = models.DateTimeField("latest")
    total_records = models.BigIntegerField("records")
    latest_version = models.CharField(max_length=20)
    latest_rsi = models.FloatField("latest RSI", null=True)
    latest_ma = models.FloatField("latest average", null=True)
    rsi_coverage = models.FloatField("RSI coverage", null=True)
    ma_coverage = models.FloatField("average coverage", null=True)
    refreshed_at = models.DateTimeField("as of")

    class Meta:
        managed = False
        db_table = "mv_features_dashboard_summary"
        ordering = ["symbol"]
        verbose_name_plural = "feature coverage"

    def __str__(self) -> str:
        return self.symbol
