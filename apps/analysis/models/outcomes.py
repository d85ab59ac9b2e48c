"""What became of predictions and signals."""

from django.db import models
from django.db.models import Q

from apps.analysis.choices import Direction, OutcomeStatus
from apps.analysis.models.ml import ModelSignal, Prediction, known_direction, probability
from apps.market.choices import Granularity
from apps.shared import fields
from apps.shared.models import TimestampedModel, known_choices, positive


class ModelOutcome(TimestampedModel):
    """What became of one prediction or signal: *open* until its horizon is known, then final.

    Born together with what it judges. A hit is a price that moved in the direction claimed by the
    end of the horizon; what claims no direction is not judged, and the note says why.
    """

    prediction = models.OneToOneField(
        Prediction,
        models.CASCADE,
        to_field="prediction_id",
        db_column="prediction_id",
        null=True,
        blank=True,
        related_name="outcome",
    )
    signal = models.OneToOneField(
        ModelSignal,
        models.CASCADE,
        to_field="signal_id",
        db_column="signal_id",
        null=True,
        blank=True,
        related_name="outcome",
    )
    model_version = models.CharField(
        max_length=255, blank=True, help_text="The model's id, or the version a signal names."
    )
    symbol = models.CharField(max_length=50)
    moment = models.DateTimeField("made", help_text="When the claim was made.")
    horizon_hours = models.PositiveIntegerField("horizon, hours")
    direction = models.CharField(
        max_length=5,
        choices=Direction,
        blank=True,
        help_text="Empty while it follows from a price forecast and the entry is not known.",
    )
    claimed_price = fields.Price(
        "price forecast",
        null=True,
        blank=True,
        help_text="Where the direction follows from it: above the entry is long, below it short.",
    )
    confidence = fields.Ratio(null=True, blank=True)
    status = models.CharField(max_length=10, choices=OutcomeStatus, default=OutcomeStatus.OPEN)
    source = models.CharField(
        max_length=50, blank=True, db_default="", default="", help_text="Candles judged on."
    )
    granularity = models.CharField(
        max_length=3, choices=Granularity, blank=True, db_default="", default=""
    )
    entry_price = fields.Price(null=True, blank=True, help_text="The price when it was made.")
    price = fields.Price(null=True, blank=True, help_text="The price at the end of the horizon.")
    percentage_change = fields.Ratio(
        "change", null=True, blank=True, help_text="In favor of the direction, in percent."
    )
    max_gain = fields.Ratio(null=True, blank=True, help_text="Best change on the way, percent.")
    max_loss = fields.Ratio(null=True, blank=True, help_text="Worst change on the way, percent.")
    is_hit = models.BooleanField("hit", null=True, blank=True, help_text="Empty: undecided.")
    note = models.TextField(
        blank=True, db_default="", default="", help_text="Why something is empty."
    )
    settled_at = models.DateTimeField(null=True, blank=True)
    due_at = models.DateTimeField(
        "due", null=True, blank=True, help_text="From when on candles can move it. Empty: final."
    )

    class Meta:
        db_table = "model_outcomes"
        verbose_name = "outcome"
        constraints = [
            models.CheckConstraint(
                condition=Q(prediction__isnull=False, signal__isnull=True)
                | Q(prediction__isnull=True, signal__isnull=False),
                name="model_outcomes_of_one_claim",
            ),
            known_choices("status", OutcomeStatus, name="model_outcomes_status_known"),
            known_direction("model_outcomes_direction_known"),
            probability("confidence", name="model_outcomes_confidence"),
            positive("price", name="model_outcomes_price_positive"),
            positive("claimed_price", name="model_outcomes_claimed_positive"),
            positive("entry_price", name="model_outcomes_entry_positive"),
            models.CheckConstraint(
                condition=Q(status=OutcomeStatus.SETTLED, settled_at__isnull=False)
                | Q(~Q(status=OutcomeStatus.SETTLED), settled_at__isnull=True),
                name="model_outcomes_settled_has_time",
            ),
            models.CheckConstraint(
                condition=Q(status=OutcomeStatus.NO_CLAIM)
                | ~Q(direction="")
                | Q(claimed_price__isnull=False),
                name="model_outcomes_claim_has_way",
            ),
        ]
        indexes = [
            models.Index(fields=["moment", "id"], name="model_outcomes_moment_idx"),
            models.Index(fields=["model_version", "moment"], name="model_outcomes_version_idx"),
            # What a tick looks at: open rows only, series by series, the earliest due first.
            models.Index(
                fields=["source", "symbol", "granularity", "due_at"],
                name="model_outcomes_due_idx",
                condition=Q(status=OutcomeStatus.OPEN),
            ),
        ]

    def __str__(self) -> str:
        of = self.prediction_id or self.signal_id
        return f"{of}: {self.get_status_display().lower()}"
