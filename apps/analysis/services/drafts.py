"""Analyses as they arrive: what a row must hold, and what it says otherwise than what is stored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Protocol

from django.conf import settings

from apps.analysis.domain.trades import LONGEST, TradeRecord, faults, period_of
from apps.analysis.models import Analysis, LeverageCalculation
from apps.analysis.services.figures import LEVERAGE_COLUMNS
from apps.analysis.services.trade_files import path_of, path_problem
from apps.executions.models import Execution
from apps.shared.errors import FieldError

KEY: Final = ("execution_id", "symbol", "timeframe", "config")
# The columns whose values a sender may report; ours stand in them where trades are known.
FIGURES: Final = (
    "total_trades", "win_rate", "total_return", "sharpe_ratio", "max_drawdown", "avg_leverage",
)  # fmt: skip
PLAIN: Final = ("status", "generated_at", "source", "chart_path", "error_message")
COLUMNS: Final = (
    *KEY, *PLAIN, "period_start", "period_end", "parameters", "reported", "compressed_path",
)  # fmt: skip
USUAL_STAKE: Final = "0.1"
LONGEST_METRIC_NAME: Final = 100
DIFFERS: Final = "Differs from the stored value."


class TradeLike(Protocol):
    """A trade as a program sends it; without a number it has that of its place."""

    def record(self, number: int) -> TradeRecord: ...


class AnalysisLike(Protocol):
    """An analysis as it arrives. ``metrics`` are further figures by name.
    ``trades`` and ``leverage_details`` are None where
       they are not told of.
    """

    execution_id: str
    symbol: str
    timeframe: str
    config: str
    status: str
    generated_at: datetime
    total_trades: int | None
    win_rate: float | None
    total_return: float | None
    sharpe_ratio: float | None
    max_drawdown: float | None
    avg_leverage: float | None
    source: str
    period_start: datetime | None
    period_end: datetime | None
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    chart_path: str
    compressed_path: str
    error_message: str
    trades: Sequence[TradeLike] | None
    leverage_details: Sequence[Any] | None


@dataclass(slots=True)
class Draft:
    """A row that was checked: the values of its columns, and what belongs to other tables."""

    row: AnalysisLike
    values: dict[str, Any]
    trades: list[TradeRecord] | None = None
    errors: list[FieldError] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, ...]:
        return tuple(self.values[name] for name in KEY)

    @property
    def reported(self) -> dict[str, float]:
        named: dict[str, float] = self.values["reported"]
        return named


# --- What a row must hold -----------------------------------------------------------------


def checked(rows: Sequence[AnalysisLike], *, now: datetime) -> Iterator[Draft]:
    """Yield each row with the values of its columns, or with all that is wrong with it."""
    wanted = {row.execution_id for row in rows}
    known = set(Execution.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    for row in rows:
        draft = drafted(row)
        if row.execution_id not in known:
            message = f"There is no execution {row.execution_id}."
            draft.errors.insert(0, FieldError("/execution_id", "unknown_execution", message))
        if row.generated_at > now + settings.CLOCK_TOLERANCE:
            draft.errors.append(FieldError("/generated_at", "in_future", "Lies in the future."))
        yield draft


def drafted(row: AnalysisLike) -> Draft:
    named = {name: getattr(row, name) for name in FIGURES if getattr(row, name) is not None}
    values = {name: getattr(row, name) for name in COLUMNS if name != "reported"}
    values["reported"] = named | dict(row.metrics)
    draft = Draft(row, values)
    for name in ("chart_path", "compressed_path"):
        if problem := path_problem(getattr(row, name)):
            draft.errors.append(FieldError(f"/{name}", "invalid_path", problem))
    draft.errors += figure_faults(row)
    draft.errors += number_faults(row.leverage_details or ())
    if row.trades is not None:
        settle(draft, [each.record(number) for number, each in enumerate(row.trades, start=1)])
    draft.errors += period_faults(values["period_start"], values["period_end"])
    return draft


def settle(draft: Draft, trades: list[TradeRecord]) -> None:
    """Give a row its trades: the path of their file, and what they are judged by.

    The period that is not told of is that of the trades; the stake that is not, the usual one.
    """
    row, values = draft.row, draft.values
    found = faults(trades, start=row.period_start, end=row.period_end)
    found += stake_faults(row.parameters)
    draft.errors += found
    if found:
        return
    draft.trades = trades
    path = path_of(draft.key, trades)
    if row.compressed_path not in ("", path):
        message = "Must be left out: a file of these trades is written here."
        draft.errors.append(FieldError("/compressed_path", "beside_trades", message))
    values["compressed_path"] = path
    values["parameters"] = {"stake": USUAL_STAKE, **row.parameters}
    if period := period_of(trades):
        values["period_start"] = row.period_start or period[0]
        values["period_end"] = row.period_end or period[1]


def figure_faults(row: AnalysisLike) -> Iterator[FieldError]:
    """Yield what is wrong with reported figures: each has one meaning, told by its column."""
    share, fall = row.win_rate, row.max_drawdown
    if share is not None and not 0 <= share <= 1:
        message = "Must lie between 0 and 1: it is a share, not a percentage."
        yield FieldError("/win_rate", "out_of_range", message)
    if fall is not None and fall > 0:
        yield FieldError("/max_drawdown", "out_of_range", "Must be 0 or below: it is a fall.")
    for name in row.metrics:
        if name in FIGURES:
            yield FieldError(metric_pointer(name), "misplaced", "Has a field of its own.")
        elif not 0 < len(name) <= LONGEST_METRIC_NAME:
            message = f"Names have 1 to {LONGEST_METRIC_NAME} characters."
            yield FieldError(metric_pointer(name), "invalid_name", message)


def metric_pointer(name: str) -> str:
    return "/metrics/" + name.replace("~", "~0").replace("/", "~1")


def number_faults(details: Iterable[Any]) -> Iterator[FieldError]:
    seen: set[int] = set()
    for place, detail in enumerate(details):
        if detail.trade_number in seen:
            pointer = f"/leverage_details/{place}/trade_number"
            yield FieldError(pointer, "duplicate", "Stands in a row before it too.")
        seen.add(detail.trade_number)


def period_faults(start: datetime | None, end: datetime | None) -> list[FieldError]:
    if start is None or end is None:
        return []
    if end < start:
        return [FieldError("/period_end", "before_start", "Must not lie before period_start.")]
    if end - start > LONGEST:
        return [FieldError("/period_end", "too_long", "The period lasts more than 100 years.")]
    return []


def stake_faults(parameters: Mapping[str, Any]) -> list[FieldError]:
    try:
        if stake_of(parameters).is_finite() and 0 < stake_of(parameters) <= 1:
            return []
    except InvalidOperation:
        pass
    message = "Must be a number above 0 and at most 1: the share of equity put up per trade."
    return [FieldError("/parameters/stake", "out_of_range", message)]


def stake_of(parameters: Mapping[str, Any]) -> Decimal:
    return Decimal(str(parameters.get("stake", USUAL_STAKE)))


# --- What differs -------------------------------------------------------------------------


def differing_leverage(analysis: int, draft: Draft) -> list[FieldError]:
    """Return what the leverage of a row says otherwise than what is stored."""
    details = draft.row.leverage_details or ()
    calculations = LeverageCalculation.objects.filter(analysis_id=analysis)
    held = {each.trade_number: each for each in calculations} if details else {}
    return [
        FieldError(f"/leverage_details/{place}/{name}", "differs", DIFFERS)
        for place, detail in enumerate(details)
        for name in LEVERAGE_COLUMNS
        if getattr(held.get(detail.trade_number), name, None) != getattr(detail, name)
    ]


def named_precisely(found: Iterable[FieldError], held: Analysis, draft: Draft) -> list[FieldError]:
    """Name what differs in the words of the row: its trades, its figures one by one."""
    errors: list[FieldError] = []
    other_trades = draft.trades is not None or bool(held.trades_checksum)
    for error in found:
        name = error.pointer[1:]
        if name == "reported":
            both = {**held.reported, **draft.reported}
            pointers = [
                f"/{each}" if each in FIGURES else metric_pointer(each)
                for each in both
                if held.reported.get(each) != draft.reported.get(each)
            ]
        elif name == "compressed_path" and other_trades:
            pointers = ["/trades"]
        elif name.startswith("period_") and other_trades and getattr(draft.row, name) is None:
            # It follows from the trades.
            pointers = []
        else:
            pointers = [error.pointer]
        errors += [FieldError(pointer, error.code, error.message) for pointer in pointers]
    return errors or [FieldError("/trades", "differs", DIFFERS)]
