"""The result of an outside backtest, whichever of its three shapes it comes in."""

import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import Any, NamedTuple, TypeVar

FIGURES = (
    "composite_score",
    "confidence_score",
    "sortino_ratio",
    "sharpe_ratio",
    "max_drawdown",
    "total_return",
    "win_rate",
    "total_trades",
)
COUNTS = frozenset({"total_trades"})
MOST = 2**31 - 1

Value = TypeVar("Value", int, float)


class Shape(StrEnum):
    """How a result is laid out."""

    NESTED = "nested"
    FLAT = "flat"
    FAILURE = "failure"
    UNKNOWN = "unknown"


class SignalFigures(NamedTuple):
    """What one signal did in a backtest, as reported; ``None`` where nothing usable is."""

    signal_name: str
    mean_return: float | None
    total_contribution: float | None
    win_rate: float | None
    activation_count: int | None


class ReadResult(NamedTuple):
    """What a result says. ``values`` always holds all of ``FIGURES``, ``None`` where unknown."""

    shape: Shape
    values: dict[str, float | int | None]
    error: str
    signals: list[SignalFigures]


def read_result(results: Mapping[str, Any]) -> ReadResult:
    """Read the figures of a backtest from its JSON; nothing in it raises an error.

    Shapes: **nested** has ``performance_metrics`` (and ``trading_statistics``), **flat** has the
    figures at its top, a **failure** says ``success: false`` there or among its metrics, or has
    nothing but an ``error``. A failure has no figures: what stands beside its error are stand-ins
    (the predecessor wrote a win rate of 0.5 for a backtest that never ran).

    A figure is found under its own name or, where there is none that can be used, under
    ``<name>_mean``; ``total_trades`` only under its own. Rates and returns are fractions and
    drawdowns negative, as reported: nothing is converted. What is no finite JSON number is
    ``None``, and so is a count that is not whole or does not fit into 32 bits.
    """
    metrics = nested(results, "performance_metrics")
    if failed(results, metrics):
        return ReadResult(Shape.FAILURE, dict.fromkeys(FIGURES), error_of(results, metrics), [])
    places = [metrics, nested(results, "trading_statistics"), results]
    values = {name: figure(name, places) for name in FIGURES}
    if isinstance(results.get("performance_metrics"), Mapping):
        shape = Shape.NESTED
    elif any(value is not None for value in values.values()):
        shape = Shape.FLAT
    else:
        shape = Shape.FAILURE if error_of(results, metrics) else Shape.UNKNOWN
    error = error_of(results, metrics) if shape == Shape.FAILURE else ""
    return ReadResult(
        shape, values, error, [] if shape == Shape.FAILURE else list(signals_of(results))
    )


def period_of(config: Mapping[str, Any]) -> str:
    """Return the period that was asked for, such as "3mo"; empty when it is not told."""
    period = config.get("period")
    found = period.strip() if isinstance(period, str) else ""
    return "" if found.lower() == "unknown" else found


# --- Shapes -------------------------------------------------------------------------------


def nested(results: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = results.get(name)
    return found if isinstance(found, Mapping) else {}


def failed(results: Mapping[str, Any], metrics: Mapping[str, Any]) -> bool:
    return results.get("success") is False or metrics.get("success") is False


def error_of(results: Mapping[str, Any], metrics: Mapping[str, Any]) -> str:
    """Return what the failure says of itself, whatever it is written as."""
    error = results.get("error") or metrics.get("error")
    return "" if error is None or isinstance(error, bool) else str(error).strip()


# --- Figures ------------------------------------------------------------------------------


def figure(name: str, places: Sequence[Mapping[str, Any]]) -> float | int | None:
    """Return the first usable value: by its own name in every place, then by its mean."""
    if name in COUNTS:
        return next(usable(count(place.get(name)) for place in places), None)
    for spelled in (name, f"{name}_mean"):
        value = next(usable(number(place.get(spelled)) for place in places), None)
        if value is not None:
            return value
    return None


def usable(values: Iterator[Value | None]) -> Iterator[Value]:
    return (value for value in values if value is not None)


def number(value: Any) -> float | None:
    """Return a finite JSON number; None for anything else, texts and bools too."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        converted = float(value)
    except (OverflowError, ValueError):  # a whole number beyond all floats, a signaling NaN
        return None
    return converted if math.isfinite(converted) else None


def count(value: Any) -> int | None:
    """Return a whole number from 0 on that fits into 32 bits; None for anything else."""
    converted = number(value)
    if converted is None or not converted.is_integer() or not 0 <= converted <= MOST:
        return None
    return int(converted)


# --- Signals ------------------------------------------------------------------------------


def signals_of(results: Mapping[str, Any]) -> Iterator[SignalFigures]:
    """Yield the figures of ``signal_analysis.top_signals``, each name once, in their order.

    They come as an object by name, as a list of [name, figures], or as a list of objects that
    carry their name; whatever is none of these is passed over.
    """
    told = nested(results, "signal_analysis").get("top_signals")
    seen: set[str] = set()
    for name, figures in named(told):
        if name in seen:
            continue
        seen.add(name)
        yield SignalFigures(
            signal_name=name,
            mean_return=first(figures, "mean_return", "avg_mean_return"),
            total_contribution=first(figures, "total_contribution"),
            win_rate=first(figures, "win_rate", "avg_win_rate"),
            activation_count=next(
                usable(count(figures.get(key)) for key in ("activation_count", "total_count")),
                None,
            ),
        )


def named(told: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(told, Mapping):
        entries: list[Any] = list(told.items())
    elif isinstance(told, list | tuple):
        entries = list(told)
    else:
        entries = []
    for entry in entries:
        if isinstance(entry, Mapping):
            name, figures = entry.get("signal_name") or entry.get("name"), entry
        elif isinstance(entry, list | tuple) and len(entry) == 2:
            name, figures = entry
        else:
            continue
        if isinstance(name, str) and name.strip() and isinstance(figures, Mapping):
            yield name.strip(), figures


def first(figures: Mapping[str, Any], *names: str) -> float | None:
    return next(usable(number(figures.get(name)) for name in names), None)
