"""Strategies as they are tried out: a base strategy, a timeframe, and their parameters."""

from typing import Self

from django.db import models
from django.db.models import Q

from apps.market.choices import Granularity
from apps.shared.models import TimestampedModel, known_choices


class StrategyConfigurationQuerySet(models.QuerySet["StrategyConfiguration"]):
    def active(self) -> Self:
        return self.filter(is_active=True)


class StrategyConfiguration(TimestampedModel):
    """One way to trade one timeframe: what a symbol is backtested with when it is added.

    Defaults come with the product and can be deactivated, not deleted.
    """

    name = models.CharField(max_length=100)
    base_strategy = models.CharField(max_length=50)
    timeframe = models.CharField(max_length=3, choices=Granularity)
    parameters = models.JSONField(help_text="Thresholds and caps; unknown names are refused.")
    leverage_parameters = models.JSONField(
        default=dict, blank=True, help_text="Constants of the leverage formula that differ here."
    )
    description = models.TextField(blank=True, db_default="", default="")
    is_default = models.BooleanField("default", default=False, db_default=False, editable=False)
    is_active = models.BooleanField("active", default=True, db_default=True)
    created_by = models.CharField(
        max_length=150, blank=True, db_default="", default="", editable=False
    )
    version = models.PositiveIntegerField(
        default=1, db_default=1, editable=False, help_text="Counts the changes of its parameters."
    )

    objects = StrategyConfigurationQuerySet.as_manager()

    class Meta:
        db_table = "strategy_configurations"
        ordering = ["base_strategy", "timeframe", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["name", "base_strategy", "timeframe"],
                name="strategy_configurations_one",
            ),
            known_choices("timeframe", Granularity, name="strategy_timeframe_known"),
            models.CheckConstraint(
                condition=~Q(name="") & ~Q(base_strategy=""), name="strategy_named"
            ),
        ]
        indexes = [
            models.Index(fields=["base_strategy", "timeframe"], name="strategy_base_timeframe_idx"),
            models.Index(fields=["created_at", "id"], name="strategy_created_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.base_strategy} {self.timeframe})"
