"""Bases and constraints that tables of every app share."""

import math
from decimal import Decimal

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from apps.shared.fields import PRICE_LIMIT, RATIO_LIMIT


class NewUuid(models.Func):
    """A key in the order of time where the server makes such (``new_uuid`` of the migrations)."""

    function = "new_uuid"
    output_field = models.UUIDField()


class CreatedModel(models.Model):
    """A row that knows when it was stored. The database's clock says so, also for bulk COPY."""

    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        abstract = True


class TimestampedModel(CreatedModel):
    """A row with a life: it also knows when it last changed.

    ``QuerySet.update()`` does not touch ``updated_at``: services set it themselves.
    """

    updated_at = models.DateTimeField(auto_now=True, db_default=Now(), editable=False)

    class Meta:
        abstract = True


def known_choices(
    field: str, choices: type[models.TextChoices], *, name: str
) -> models.CheckConstraint:
    """Hold a closed vocabulary in the database too."""
    return models.CheckConstraint(condition=Q(**{f"{field}__in": choices.values}), name=name)


def measured(field: str, *, name: str) -> models.CheckConstraint:
    """Hold a duration or another measure at zero or above, and away from NaN (see ``positive``)."""
    bounds = {f"{field}__gte": Decimal(0), f"{field}__lt": RATIO_LIMIT}
    return models.CheckConstraint(condition=Q(**bounds), name=name)


def finite(field: str, *, name: str) -> models.CheckConstraint:
    """Hold a price or size of either sign away from NaN (see ``positive``)."""
    return models.CheckConstraint(condition=Q(**{f"{field}__lt": PRICE_LIMIT}), name=name)


def positive(field: str, *, name: str) -> models.CheckConstraint:
    """Hold a price or size above zero, and away from NaN.

    In PostgreSQL NaN counts as greater than every number, so an upper bound, which the
    column's own precision makes harmless, is what keeps it out.
    """
    bounds = {f"{field}__gt": Decimal(0), f"{field}__lt": PRICE_LIMIT}
    return models.CheckConstraint(condition=Q(**bounds), name=name)


def real(*names: str, name: str) -> models.CheckConstraint:
    """Hold statistics in double precision away from NaN and the infinities."""
    condition = Q()
    for each in names:
        # In PostgreSQL NaN is greater than infinity, so one upper bound keeps both out.
        condition &= Q(**{f"{each}__isnull": True}) | Q(
            **{f"{each}__gt": -math.inf, f"{each}__lt": math.inf}
        )
    return models.CheckConstraint(condition=condition, name=name)
