"""Taking in how much models look at each feature."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

from django.conf import settings
from django.db import transaction

from apps.analysis.domain.features import category_of
from apps.analysis.models import FeatureImportance
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, ingest


class ImportanceRow(Protocol):
    """An importance as it arrives: whatever has these values."""

    @property
    def feature_name(self) -> str: ...
    @property
    def importance_score(self) -> float: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def model_version(self) -> str: ...
    @property
    def category(self) -> str: ...


class ImportanceFacts(NamedTuple):
    """An importance as it is stored, column by column."""

    feature_name: str
    importance_score: float
    timestamp: datetime
    model_version: str
    category: str


@transaction.atomic
def store_importance(rows: Sequence[ImportanceRow], *, now: datetime) -> Ingested:
    """Store how much model versions looked at features; a category not named follows the name.

    Unique by model version, feature and time: the same again is *unchanged*, another score for
    them *failed*.
    """
    outcome = Ingested()
    facts, places = [], []
    for index, row in enumerate(rows):
        if row.timestamp > now + settings.CLOCK_TOLERANCE:
            outcome.fail(index, [FieldError("/timestamp", "in_future", "Lies in the future.")])
            continue
        category = row.category or category_of(row.feature_name)
        facts.append(
            ImportanceFacts(
                feature_name=row.feature_name,
                importance_score=row.importance_score,
                timestamp=row.timestamp,
                model_version=row.model_version,
                category=category,
            )
        )
        places.append(index)
    stored = ingest(
        FeatureImportance,
        facts,
        columns=ImportanceFacts._fields,
        key=["model_version", "feature_name", "timestamp"],
        on_conflict="refuse",
    )
    outcome.merge(stored, places)
    outcome.sort()
    return outcome
