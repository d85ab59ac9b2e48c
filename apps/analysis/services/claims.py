"""Taking in what models say: predictions and signals, each born with its outcome."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any, NamedTuple, Protocol

from django.conf import settings
from django.db import connection, models, transaction

from apps.analysis.domain import outcomes
from apps.analysis.domain.claims import ClaimRefused
from apps.analysis.domain.outcomes import Claimed
from apps.analysis.domain.weights import check_weights
from apps.analysis.models import ModelOutcome, ModelSignal, Prediction
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus, ingest
from apps.shared.quant.digits import RATIO_PLACES, digits_behind

EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
HUNDRED = Decimal(100)


class Confident(Protocol):
    """What both kinds of claims have in common, as they arrive."""

    @property
    def symbol(self) -> str: ...
    @property
    def timestamp(self) -> datetime: ...
    @property
    def confidence(self) -> Decimal | None: ...
    @property
    def confidence_pct(self) -> Decimal | None: ...
    @property
    def horizon_hours(self) -> int | None: ...


class PredictionRow(Confident, Protocol):
    """A prediction as it arrives: whatever has these values."""

    @property
    def prediction_id(self) -> str: ...
    @property
    def model_id(self) -> str: ...
    @property
    def prediction_type(self) -> str: ...
    @property
    def prediction_value(self) -> Decimal: ...
    @property
    def direction(self) -> str: ...
    @property
    def features(self) -> Mapping[str, Any]: ...


class SignalRow(Confident, Protocol):
    """A model signal as it arrives: whatever has these values."""

    @property
    def signal_id(self) -> str: ...
    @property
    def signal(self) -> str: ...
    @property
    def price_prediction(self) -> Decimal | None: ...
    @property
    def model_version(self) -> str: ...
    @property
    def analysis_data(self) -> Mapping[str, Any]: ...
    @property
    def signal_weights(self) -> Mapping[str, Any]: ...
    @property
    def comprehensive_signals(self) -> Mapping[str, Any]: ...


class PredictionFacts(NamedTuple):
    """A prediction as it is stored, column by column."""

    prediction_id: str
    model_id: str
    symbol: str
    timestamp: datetime
    prediction_type: str
    prediction_value: Decimal
    confidence: Decimal | None
    direction: str
    horizon_hours: int | None
    features: Mapping[str, Any]


class SignalFacts(NamedTuple):
    """A model signal as it is stored, column by column."""

    signal_id: str
    symbol: str
    signal: str
    confidence: Decimal | None
    price_prediction: Decimal | None
    timestamp: datetime
    model_version: str
    horizon_hours: int | None
    analysis_data: Mapping[str, Any]
    signal_weights: Mapping[str, Any]
    comprehensive_signals: Mapping[str, Any]


class Born(NamedTuple):
    """The outcome of a claim as it is born, column by column, behind the claim's own name."""

    claim: str
    model_version: str
    symbol: str
    moment: datetime
    horizon_hours: int
    direction: str
    claimed_price: Decimal | None
    confidence: Decimal | None
    status: str
    note: str
    due_at: datetime | None


@transaction.atomic
def store_predictions(rows: Sequence[PredictionRow], *, now: datetime) -> Ingested:
    """Store predictions, each with its outcome, and say what became of each row.

    A row that breaks a rule, or names a model that is not registered, is *failed* and does not
    hold up the others. A ``prediction_id`` that is stored already is *unchanged* with the same
    content and *failed* with other content. Claims of no direction get an outcome that says so.
    """
    known = registered({row.model_id for row in rows})

    def read(row: PredictionRow, errors: list[FieldError]) -> PredictionFacts:
        if row.model_id not in known:
            message = f'There is no model "{row.model_id}".'
            errors.append(FieldError("/model_id", "unknown_model", message))
        return PredictionFacts(
            prediction_id=row.prediction_id,
            model_id=row.model_id,
            symbol=row.symbol,
            timestamp=row.timestamp,
            prediction_type=row.prediction_type,
            prediction_value=row.prediction_value,
            confidence=confidence(row, errors),
            direction=row.direction,
            horizon_hours=row.horizon_hours,
            features=row.features,
        )

    def bear(facts: PredictionFacts) -> Born:
        claimed = outcomes.claim_of_prediction(
            facts.prediction_type, facts.prediction_value, facts.direction
        )
        return born(facts.prediction_id, facts.model_id, facts, claimed)

    return store(Prediction, rows, PredictionFacts, read, bear, now=now)


@transaction.atomic
def store_signals(rows: Sequence[SignalRow], *, now: datetime) -> Ingested:
    """Store model signals, each with its outcome, and say what became of each row.

    Like ``store_predictions``; weights that are not as they must be fail their row.
    """

    def read(row: SignalRow, errors: list[FieldError]) -> SignalFacts:
        errors += check_weights(row.signal_weights)
        return SignalFacts(
            signal_id=row.signal_id,
            symbol=row.symbol,
            signal=row.signal,
            confidence=confidence(row, errors),
            price_prediction=row.price_prediction,
            timestamp=row.timestamp,
            model_version=row.model_version,
            horizon_hours=row.horizon_hours,
            analysis_data=row.analysis_data,
            signal_weights=row.signal_weights,
            comprehensive_signals=row.comprehensive_signals,
        )

    def bear(facts: SignalFacts) -> Born:
        claimed = outcomes.claim_of_signal(facts.signal)
        return born(facts.signal_id, facts.model_version, facts, claimed)

    return store(ModelSignal, rows, SignalFacts, read, bear, now=now)


def store(
    model: type[models.Model],
    rows: Sequence[Any],
    facts_type: Any,
    read: Callable[[Any, list[FieldError]], Any],
    bear: Callable[[Any], Born],
    *,
    now: datetime,
) -> Ingested:
    """Store claims of one kind and the outcomes of those that are new."""
    outcome = Ingested()
    facts, places = [], []
    for index, row in enumerate(rows):
        errors = problems(row, now=now)
        found = read(row, errors)
        if errors:
            outcome.fail(index, errors)
        else:
            facts.append(found)
            places.append(index)
    key = facts_type._fields[0]
    stored = ingest(model, facts, columns=facts_type._fields, key=[key], on_conflict="refuse")
    listed = {each.index for each in stored.results if each.status != RowStatus.CREATED}
    children = [bear(each) for index, each in enumerate(facts) if index not in listed]
    ingest(
        ModelOutcome,
        children,
        columns=(key, *Born._fields[1:]),
        key=[key],
        on_conflict="refuse",
    )
    outcome.merge(stored, places)
    outcome.sort()
    return outcome


def born(name: str, version: str, facts: PredictionFacts | SignalFacts, claimed: Claimed) -> Born:
    hours = outcomes.horizon_hours(facts.horizon_hours, usual=settings.CLAIM_HORIZON_HOURS)
    return Born(
        claim=name,
        model_version=version,
        symbol=facts.symbol,
        moment=facts.timestamp,
        horizon_hours=hours,
        direction=claimed.direction,
        claimed_price=claimed.claimed_price,
        confidence=facts.confidence,
        status=claimed.status,
        note=claimed.note,
        # First its own price is looked for, then that at its horizon.
        due_at=None if claimed.note else facts.timestamp,
    )


def registered(names: Iterable[str]) -> set[str]:
    """Return which of the models there are; they stay until the transaction ends."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT model_id FROM models WHERE model_id = ANY(%s) ORDER BY model_id FOR KEY SHARE",
            [list(names)],
        )
        return {name for (name,) in cursor.fetchall()}


def problems(row: Confident, *, now: datetime) -> list[FieldError]:
    """Return what is wrong with the time of a claim and with its horizon."""
    errors = []
    if not EARLIEST <= row.timestamp <= now + settings.CLOCK_TOLERANCE:
        early = row.timestamp < EARLIEST
        errors.append(
            FieldError("/timestamp", "too_early", "Lies before 1990.")
            if early
            else FieldError("/timestamp", "in_future", "Lies in the future.")
        )
    try:
        outcomes.horizon_hours(row.horizon_hours, usual=1)
    except ClaimRefused as refused:
        errors += refused.errors
    return errors


def confidence(row: Confident, errors: list[FieldError]) -> Decimal | None:
    """Return the confidence as a probability, from whichever of its two fields is given."""
    percent = row.confidence_pct
    if percent is None:
        return row.confidence
    if row.confidence is not None:
        message = "Give confidence or confidence_pct, not both."
        errors.append(FieldError("/confidence_pct", "conflicting", message))
        return None
    if not 0 <= percent <= HUNDRED:
        message = "Must lie between 0 and 100."
        errors.append(FieldError("/confidence_pct", "out_of_range", message))
        return None
    with localcontext(prec=60):
        share = percent / HUNDRED
    if digits_behind(share) > RATIO_PLACES:
        message = f"Must have at most {RATIO_PLACES - 2} digits behind the point."
        errors.append(FieldError("/confidence_pct", "too_many_digits", message))
        return None
    return share
