"""What doing nothing clever would have brought: holding one coin, or all of them in equal parts.

Bought at the price of the market at a moment, worth its newest price now; without fees. Cash
brings nothing and needs no line of its own.
"""

from collections.abc import Hashable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple, TypeVar

from apps.agents.services.marks import market_prices, prices_at
from apps.market.services.prices import NewestPrice
from apps.shared.quant.digits import RATIO_PLACES
from apps.shared.quant.money import EXACT, HUNDRED, ZERO, TooLarge, kept

Key = TypeVar("Key", bound=Hashable)

NO_COINS: Final = "It trades no coin that has a symbol."
TOO_LARGE: Final = "The change has more digits than are kept."


class Asked(NamedTuple):
    """Which coins, each with its symbol, are held since when; none where nothing has begun.

    ``held`` is the one that is held alone, by default the first.
    """

    coins: Mapping[str, str]
    held: str
    since: datetime | None


class Benchmarks(NamedTuple):
    """Percent, 8 places; ``None`` with its reason."""

    hold: Decimal | None
    equal: Decimal | None
    hold_reason: str = ""
    equal_reason: str = ""


def returns_of(asked: Mapping[Key, Asked], *, now: datetime) -> dict[Key, Benchmarks]:
    """Return what holding would have brought, by two statements however many ask.

    Holding all coins in equal parts brings the mean of what each one does; where one of them has
    no price, it is not known.
    """
    points = {
        (symbol, each.since)
        for each in asked.values()
        if each.since is not None
        for symbol in each.coins.values()
    }
    before = prices_at(points, now=now)
    after = market_prices({symbol for symbol, _ in points}, now=now)
    return {key: benchmarks_of(each, before, after) for key, each in asked.items()}


def benchmarks_of(
    asked: Asked,
    before: Mapping[tuple[str, datetime], Decimal],
    after: Mapping[str, NewestPrice],
) -> Benchmarks:
    """Return what holding brought between two sets of prices."""
    symbols = [symbol for symbol in asked.coins.values() if symbol]
    held = asked.coins.get(asked.held) or (symbols[0] if symbols else "")
    if asked.since is None or not held:
        reason = NO_COINS if asked.since else "Nothing has begun."
        return Benchmarks(None, None, reason, reason)
    changes, reasons = {}, {}
    for symbol in {*symbols, held}:
        start, end = before.get((symbol, asked.since)), after.get(symbol)
        if start is None:
            at = f"{asked.since:%Y-%m-%d %H:%M} UTC"
            reasons[symbol] = f"There is no price of {symbol} at {at}."
        elif end is None or end.known_at <= asked.since:
            reasons[symbol] = f"There is no price of {symbol} since then that is still good."
        else:
            moved = EXACT.multiply(EXACT.subtract(end.price, start), HUNDRED)
            changes[symbol] = EXACT.divide(moved, start)
    missing = [reasons[symbol] for symbol in symbols if symbol in reasons]
    hold, hold_reason = stored(changes.get(held), reasons.get(held, ""))
    equal, equal_reason = stored(
        None if missing else mean([changes[symbol] for symbol in symbols]),
        missing[0] if missing else "",
    )
    return Benchmarks(hold, equal, hold_reason, equal_reason)


def mean(values: list[Decimal]) -> Decimal:
    total = ZERO
    for value in values:
        total = EXACT.add(total, value)
    return EXACT.divide(total, Decimal(len(values)))


def stored(value: Decimal | None, reason: str) -> tuple[Decimal | None, str]:
    """Return a percentage as its column keeps it, or why there is none."""
    if value is None:
        return None, reason
    try:
        return kept(value, "return", places=RATIO_PLACES), ""
    except TooLarge:
        return None, TOO_LARGE
