"""Models that were trained, what they say, and what they look at."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery

from apps.analysis.choices import Direction, FeatureCategory, ModelStatus
from apps.shared import fields
from apps.shared.models import CreatedModel, TimestampedModel, finite, known_choices, positive, real


def probability(field: str, *, name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__gte": 0, f"{field}__lte": 1}), name=name
    )


def known_direction(name: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(direction="") | Q(direction__in=Direction.values), name=name
    )


class MLModelQuerySet(models.QuerySet["MLModel"]):
    def status_at(self, moment: datetime) -> Self:
        """Each model with ``status_then``, its status at a moment (null: it was not known yet).

        ``since_then`` is since when it had it.
        """
        changes = ModelStatusChange.objects.filter(model=OuterRef("model_id"), since__lte=moment)
        last = changes.order_by("-since", "-id")[:1]
        return self.annotate(
            status_then=Subquery(last.values("status")), since_then=Subquery(last.values("since"))
        )

    def active_at(self, moment: datetime) -> Self:
        return self.status_at(moment).filter(status_then=ModelStatus.ACTIVE)


class MLModel(TimestampedModel):
    """One version of a model that was trained. Its predictions keep it from being deleted."""

    model_id = models.CharField(max_length=255, unique=True, help_text="The trainer's own name.")
    name = models.CharField(max_length=150)
    version = models.CharField(max_length=50)
    model_type = models.CharField("type", max_length=50, blank=True)
    parameters = models.JSONField(default=dict, blank=True)
    metrics = models.JSONField(default=dict, blank=True, help_text="As the trainer reports them.")
    file_path = models.CharField(max_length=500, blank=True)
    status = models.CharField(max_length=10, choices=ModelStatus, default=ModelStatus.CANDIDATE)

    objects = MLModelQuerySet.as_manager()

    class Meta:
        db_table = "models"
        verbose_name = "model"
        constraints = [
            known_choices("status", ModelStatus, name="models_status_known"),
            models.CheckConstraint(
                condition=~Q(model_id="") & ~Q(name="") & ~Q(version=""), name="models_named"
            ),
        ]
        indexes = [
            models.Index(fields=["created_at", "id"], name="models_created_idx"),
            models.Index(fields=["name", "version"], name="models_name_idx"),
        ]

    def __str__(self) -> str:
        return self.model_id


class ModelStatusChange(CreatedModel):
    """Since when a model has had a status, and who gave it."""

    model = models.ForeignKey(
        MLModel,
        models.CASCADE,
        to_field="model_id",
        db_column="model_id",
        db_index=False,  # the index below begins with it
        related_name="status_changes",
    )
    status = models.CharField(max_length=10, choices=ModelStatus)
    since = models.DateTimeField()
    changed_by = models.CharField(max_length=150, blank=True)

    class Meta:
        db_table = "model_status_changes"
        constraints = [known_choices("status", ModelStatus, name="model_status_changes_known")]
        indexes = [
            models.Index(fields=["model", "since", "id"], name="model_status_changes_model_idx"),
            models.Index(fields=["since", "id"], name="model_status_changes_since_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.model_id}: {self.status} since {self.since:%Y-%m-%d %H:%M:%S}"


class Prediction(CreatedModel):
    """A model's forecast for a symbol."""

    prediction_id = models.CharField(max_length=255)
    model = models.ForeignKey(
        MLModel,
        models.PROTECT,
        to_field="model_id",
        db_column="model_id",
        db_index=False,  # the index below begins with it
        related_name="predictions",
    )
    symbol = models.CharField(max_length=50)
    timestamp = models.DateTimeField(help_text="When it was made, by the sender's clock.")
    prediction_type = models.CharField("type", max_length=50)
    prediction_value = models.DecimalField(
        "value", max_digits=fields.PRICE_DIGITS, decimal_places=fields.PRICE_PLACES
    )
    confidence = fields.Ratio(null=True, blank=True, help_text="A probability, 0 to 1.")
    direction = models.CharField(
        max_length=5,
        choices=Direction,
        blank=True,
        help_text="Empty: follows from type and value.",
    )
    horizon_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="After how many hours it is judged. Empty: the usual."
    )
    features = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "predictions"
        constraints = [
            models.UniqueConstraint(fields=["prediction_id"], name="predictions_one_per_id"),
            models.CheckConstraint(
                condition=~Q(prediction_id="") & ~Q(symbol="") & ~Q(prediction_type=""),
                name="predictions_named",
            ),
            finite("prediction_value", name="predictions_value_finite"),
            probability("confidence", name="predictions_confidence_share"),
            known_direction("predictions_direction_known"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="predictions_timestamp_idx"),
            models.Index(fields=["model", "symbol", "timestamp"], name="predictions_model_idx"),
            models.Index(fields=["symbol", "timestamp"], name="predictions_symbol_idx"),
        ]

    def __str__(self) -> str:
        return self.prediction_id


class ModelSignal(CreatedModel):
    """What a model advises: buy, sell or hold, with the weights it went by."""

    signal_id = models.CharField(max_length=255)
    symbol = models.CharField(max_length=50)
    signal = models.CharField(max_length=50)
    confidence = fields.Ratio(null=True, blank=True, help_text="A probability, 0 to 1.")
    price_prediction = fields.Price(null=True, blank=True)
    timestamp = models.DateTimeField(help_text="When it was given, by the sender's clock.")
    model_version = models.CharField(max_length=150, blank=True)
    horizon_hours = models.PositiveIntegerField(
        null=True, blank=True, help_text="After how many hours it is judged. Empty: the usual."
    )
    analysis_data = models.JSONField(default=dict, blank=True)
    signal_weights = models.JSONField(default=dict, blank=True)
    comprehensive_signals = models.JSONField(default=dict, blank=True)

    class Meta:
        db_table = "model_signals"
        constraints = [
            models.UniqueConstraint(fields=["signal_id"], name="model_signals_one_per_id"),
            models.CheckConstraint(
                condition=~Q(signal_id="") & ~Q(symbol="") & ~Q(signal=""),
                name="model_signals_named",
            ),
            positive("price_prediction", name="model_signals_price_positive"),
            probability("confidence", name="model_signals_confidence_share"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="idx_signals_timestamp"),
            models.Index(fields=["symbol", "timestamp"], name="model_signals_symbol_idx"),
            models.Index(fields=["model_version", "timestamp"], name="model_signals_version_idx"),
        ]

    def __str__(self) -> str:
        return self.signal_id


class FeatureImportance(CreatedModel):
    """How much a model version looked at one feature, at one time."""

    feature_name = models.CharField("feature", max_length=150)
    importance_score = models.FloatField("importance")
    timestamp = models.DateTimeField()
    model_version = models.CharField(max_length=150, blank=True)
    category = models.CharField(max_length=10, choices=FeatureCategory)

    class Meta:
        db_table = "feature_importance"
        verbose_name_plural = "feature importance"
        constraints = [
            models.UniqueConstraint(
                fields=["model_version", "feature_name", "timestamp"],
                name="feature_importance_one",
            ),
            known_choices("category", FeatureCategory, name="feature_importance_category"),
            models.CheckConstraint(condition=~Q(feature_name=""), name="feature_importance_named"),
            real("importance_score", name="feature_importance_finite"),
        ]
        indexes = [
            models.Index(fields=["timestamp", "id"], name="feature_importance_time_idx"),
            models.Index(fields=["feature_name", "timestamp"], name="feature_importance_name_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.feature_name} in {self.model_version or 'no version'} at {self.timestamp}"
