"""What programs send of models: the models, their predictions and signals, their features."""

from datetime import datetime
from typing import Annotated

import msgspec
from django.db.models import TextChoices
from msgspec import Meta

from apps.analysis.choices import Direction, FeatureCategory, ModelStatus
from apps.shared.api.rows import (
    JsonObject,
    Key,
    Moment,
    Price,
    Probability,
    Ratio,
    Real,
    Row,
    Signed,
    Symbol,
    choice,
    text,
)
from apps.shared.api.values import ChoiceCheck

MOST_HOURS = 8784


def choice_or_none(vocabulary: type[TextChoices], description: str) -> Meta:
    """Return the metadata of a word of a closed vocabulary that may be empty."""
    words = ("", *vocabulary.values)
    return Meta(
        description=description,
        extra={"check": ChoiceCheck(words)},
        extra_json_schema={"enum": list(words)},
    )


ModelVersion = Annotated[str, text(150, pattern=r"(?:\S+(?: \S+)*)?")]
Hours = Annotated[
    int, Meta(ge=1, le=MOST_HOURS, description="After how many hours it is judged, up to 366 days.")
]


class ModelRow(Row):
    """One version of a model that was trained."""

    model_id: Key
    name: Annotated[str, text(150, minimum=1)]
    version: Annotated[str, text(50, minimum=1)]
    model_type: Annotated[str, text(50)] = ""
    parameters: JsonObject = {}
    metrics: JsonObject = {}
    file_path: Annotated[str, text(500)] = ""
    status: Annotated[str, choice(ModelStatus)] = ModelStatus.CANDIDATE.value


class PredictionRow(Row):
    """A model's forecast for a symbol.

    Which way it points follows from its type and value: a direction or return by its sign, a
    probability by one half, a price by the price at its own time. ``direction`` says it outright.
    """

    prediction_id: Key
    model_id: Key
    symbol: Symbol
    timestamp: Moment
    prediction_type: Annotated[
        str,
        text(
            50,
            minimum=1,
            pattern=r"\S+(?: \S+)*",
            description="price_direction, return, probability_up, target_price …",
        ),
    ]
    prediction_value: Signed
    confidence: Probability | None = None
    confidence_pct: Ratio | None = None
    direction: Annotated[str, choice_or_none(Direction, "Empty: follows from type and value.")] = ""
    horizon_hours: Hours | None = None
    features: JsonObject = {}


class ModelSignalRow(Row):
    """What a model advises: buy, sell or hold, with the weights it went by.

    Weights are 0 or above; of a group all are given, and they sum to 1: technical, onchain,
    sentiment, macro; momentum, trend, volatility, volume; flow, network, holder; social,
    derivatives, fear_greed (each name ends in ``_weight``).
    """

    signal_id: Key
    symbol: Symbol
    signal: Annotated[str, text(50, minimum=1, pattern=r"\S+(?: \S+)*")]
    timestamp: Moment
    confidence: Probability | None = None
    confidence_pct: Ratio | None = None
    price_prediction: Price | None = None
    model_version: ModelVersion = ""
    horizon_hours: Hours | None = None
    analysis_data: JsonObject = {}
    signal_weights: JsonObject = {}
    comprehensive_signals: JsonObject = {}


class FeatureImportanceRow(Row):
    """How much a model version looked at one feature, at one time."""

    feature_name: Annotated[str, text(150, minimum=1, pattern=r"\S+(?: \S+)*")]
    importance_score: Real
    timestamp: Moment
    model_version: ModelVersion = ""
    category: Annotated[
        str, choice_or_none(FeatureCategory, "Empty: follows from the feature's name.")
    ] = ""


class ActiveQuery(Row):
    """Which models are asked for, and when."""

    name: Annotated[str, text(150, description="Of this model only.")] = ""
    at: Annotated[Moment, Meta(description="At this moment; now if not given.")] | None = None


class ActiveModel(msgspec.Struct):
    """A version that was active, and since when."""

    model_id: str
    name: str
    version: str
    model_type: str
    since: datetime


class ActiveModels(msgspec.Struct):
    """The versions that were active at a moment, by name and by how long."""

    at: datetime
    results: list[ActiveModel]
