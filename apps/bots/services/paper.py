"""Paper portfolios: opened, traded at the market's price, begun anew. Rules in ``domain/paper``.

The money of a portfolio is moved by its trades alone, under the lock of its row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple, Protocol

from django.db import IntegrityError, connection, transaction

from apps.bots.choices import Side
from apps.bots.domain.paper import (
    LIMIT,
    WIDE,
    Deal,
    Holdings,
    OrderTooLarge,
    Terms,
    deal,
    equity,
    paid_price,
)
from apps.bots.models import BotInstance, PaperPortfolio, PaperTrade
from apps.logs.services.events import record_trading_events
from apps.market.services.prices import newest_prices, tradable
from apps.shared.errors import Conflict, DomainError, FieldError
from apps.shared.ingest import Ingested, RowStatus

PERSON = 150
# What is said of a portfolio when it is opened. The first four stay.
SHAPE = ("name", "symbol", "initial_balance", "bot_id", "fee_rate", "slippage")
FIXED = SHAPE[:4]
MOVED = ("quote_balance", "asset_balance", "avg_buy_price", "realized_pnl", "total_pnl")

OPEN = """
INSERT INTO paper_portfolio (
    name, symbol, initial_balance, bot_id, fee_rate, slippage,
    usd_balance, btc_balance, generation, created_at, updated_at
)
SELECT n.name, n.symbol, n.initial_balance, n.bot_id, n.fee_rate, n.slippage, n.initial_balance, 0,
    1 + coalesce((SELECT max(p.generation) FROM paper_portfolio p WHERE p.name = n.name), 0),
    %(now)s, %(now)s
FROM unnest(%(name)s::text[], %(symbol)s::text[], %(initial_balance)s::numeric[],
    %(bot_id)s::text[], %(fee_rate)s::numeric[], %(slippage)s::numeric[])
    AS n (name, symbol, initial_balance, bot_id, fee_rate, slippage)
ORDER BY n.name
ON CONFLICT DO NOTHING
RETURNING name
"""


class UnknownPortfolio(DomainError):
    """There is no paper portfolio of this id."""

    code = "unknown_portfolio"
    status = 404


class PortfolioClosed(DomainError):
    """A portfolio that was reset keeps its history and takes no more trades."""

    code = "portfolio_closed"
    status = 409


class PortfolioLike(Protocol):
    """A portfolio as it arrives: whatever has these values."""

    @property
    def name(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def initial_balance(self) -> Decimal: ...
    @property
    def bot_id(self) -> str | None: ...
    @property
    def fee_rate(self) -> Decimal: ...
    @property
    def slippage(self) -> Decimal: ...


@dataclass(frozen=True, slots=True)
class PaperOrder:
    """A wish to trade: over an ``amount`` of the asset or a ``value`` in the quote currency.

    With a ``price`` of the sender's own the market is not asked; the trade says so by its empty
    ``market_price``.
    """

    id: str
    side: Side
    amount: Decimal | None = None
    value: Decimal | None = None
    price: Decimal | None = None


class Placed(NamedTuple):
    """What became of an order: its trade and whether it is new, or why it was refused."""

    trade: PaperTrade | None
    created: bool = False
    refusal: DomainError | None = None


# --- Opening ------------------------------------------------------------------------------


@transaction.atomic
def open_portfolios(rows: Sequence[PortfolioLike], *, now: datetime) -> Ingested:
    """Open portfolios, each with its initial balance in cash; say what became of each row.

    An active one of the same name is *unchanged* with the same terms, whatever it has traded
    since, and *failed* with others, naming what differs.
    """
    named = {row.bot_id for row in rows if row.bot_id}
    bots = set(BotInstance.objects.filter(pk__in=named).values_list("pk", flat=True))
    wanted: dict[str, PortfolioLike] = {}
    for row in rows:
        if not row.bot_id or row.bot_id in bots:
            wanted.setdefault(row.name, row)
    values: dict[str, Any] = {
        name: [getattr(row, name) for row in wanted.values()] for name in SHAPE
    }
    with connection.cursor() as cursor:
        cursor.execute(OPEN, values | {"now": now})
        new = {name for (name,) in cursor.fetchall()}
    # A statement of its own: what another transaction opened meanwhile is visible now.
    held = {
        each.name: each for each in PaperPortfolio.objects.active().filter(name__in=list(wanted))
    }
    outcome = Ingested()
    for place, row in enumerate(rows):
        if row.bot_id and row.bot_id not in bots:
            message = f'There is no bot "{row.bot_id}".'
            outcome.fail(place, [FieldError("/bot_id", "unknown_bot", message)])
            continue
        if row.name not in held:
            # It was there a moment ago: somebody is just resetting it.
            raise Conflict("This portfolio is just being reset; send it again.", ["name"])
        differing = differences(held[row.name], row)
        if differing:
            message = "Differs from the stored value."
            errors = [FieldError(f"/{name}", "differs", message) for name in differing]
            outcome.fail(place, errors)
        elif row.name in new:
            new.discard(row.name)
            outcome.note(place, RowStatus.CREATED)
        else:
            outcome.note(place, RowStatus.UNCHANGED)
    return outcome


def differences(held: PaperPortfolio, row: PortfolioLike) -> list[str]:
    return [name for name in SHAPE if getattr(held, name) != getattr(row, name)]


@transaction.atomic
def change_portfolio(*, portfolio_id: int, row: PortfolioLike, now: datetime) -> Ingested:
    """Change what a portfolio pays for trading: its fee rate and its slippage.

    The rest of its terms is *fixed*. Raises UnknownPortfolio, PortfolioClosed.
    """
    held = locked([portfolio_id]).get(portfolio_id)
    if held is None:
        raise UnknownPortfolio("There is no paper portfolio of this id.")
    outcome = Ingested()
    changed = differences(held, row)
    if not changed:
        outcome.note(0, RowStatus.UNCHANGED)
    elif not held.is_active:
        raise PortfolioClosed("This portfolio is closed: it does not change any more.")
    elif fixed := [name for name in FIXED if name in changed]:
        message = "Stays as it is; open another portfolio."
        outcome.fail(0, [FieldError(f"/{name}", "fixed", message) for name in fixed])
    else:
        rows = PaperPortfolio.objects.filter(pk=portfolio_id)
        rows.update(fee_rate=row.fee_rate, slippage=row.slippage, updated_at=now)
        outcome.note(0, RowStatus.REPLACED)
    return outcome


@transaction.atomic
def reset(*, portfolio_id: int, by: str, now: datetime) -> PaperPortfolio:
    """Close a portfolio and open the next one with the same terms; return that.

    The old one keeps its trades and its performance. Raises UnknownPortfolio, PortfolioClosed.
    """
    old = locked([portfolio_id]).get(portfolio_id)
    if old is None:
        raise UnknownPortfolio("There is no paper portfolio of this id.")
    if not old.is_active:
        raise PortfolioClosed("This portfolio was reset before; another one has taken its place.")
    PaperPortfolio.objects.filter(pk=old.pk).update(is_active=False, closed_at=now, updated_at=now)
    new = PaperPortfolio.objects.create(
        **{name: getattr(old, name) for name in SHAPE},
        quote_balance=old.initial_balance,
        generation=old.generation + 1,
        predecessor=old,
    )
    record_trading_events(
        [
            {
                "event_type": "paper_portfolio_reset",
                "symbol": old.symbol,
                "portfolio": old.pk,
                "successor": new.pk,
                "by": by[:PERSON],
            }
        ]
    )
    return new


def locked(ids: Sequence[int]) -> Mapping[int, PaperPortfolio]:
    """Return these portfolios, locked in one order for the rest of the transaction."""
    rows = PaperPortfolio.objects.filter(pk__in=ids).order_by("pk").select_for_update(no_key=True)
    return {each.pk: each for each in rows}


# --- Trading ------------------------------------------------------------------------------


def trade(*, portfolio_id: int, order: PaperOrder, now: datetime) -> tuple[PaperTrade, bool]:
    """Trade with a portfolio; return the trade, and whether it is new.

    The same order again gives the trade it made. Raises UnknownPortfolio, PortfolioClosed,
    Conflict (the id is taken by another order), NoPrice, StalePrice, InsufficientFunds,
    InsufficientAsset, OrderTooSmall, OrderTooLarge.
    """
    [placed] = place_orders([(portfolio_id, order)], now=now)
    if placed.refusal is not None:
        raise placed.refusal
    assert placed.trade is not None
    return placed.trade, placed.created


@transaction.atomic
def place_orders(orders: Sequence[tuple[int, PaperOrder]], *, now: datetime) -> list[Placed]:
    """Trade one order after the other, each with its portfolio; say what became of each.

    Raises Conflict, and does nothing, when another portfolio takes one of the ids this moment.
    """
    portfolios = locked(sorted({portfolio_id for portfolio_id, _ in orders}))
    trades = PaperTrade.objects.in_bulk([order.id for _, order in orders])
    asking = [portfolios.get(number) for number, order in orders if order.price is None]
    prices = newest_prices([each.symbol for each in asking if each is not None], now=now)
    new: list[PaperTrade] = []
    outcome: list[Placed] = []
    for portfolio_id, order in orders:
        portfolio = portfolios.get(portfolio_id)
        known = trades.get(order.id)
        try:
            if portfolio is None:
                raise UnknownPortfolio("There is no paper portfolio of this id.")
            if known is not None:
                check_same(known, portfolio, order)
                outcome.append(Placed(known))
                continue
            market = None
            if order.price is None:
                market = tradable(prices.get(portfolio.symbol), portfolio.symbol, now=now)
            made = placed_in(portfolio, order, market=market, now=now)
        except DomainError as refusal:
            outcome.append(Placed(None, refusal=refusal))
            continue
        trades[order.id] = made
        new.append(made)
        outcome.append(Placed(made, created=True))
    try:
        PaperTrade.objects.bulk_create(new)
    except IntegrityError as error:
        # Only the locks of other portfolios can have let it through.
        raise Conflict("An id belongs to an order of another portfolio.", ["id"]) from error
    moved = {each.portfolio_id: portfolios[each.portfolio_id] for each in new}
    for portfolio in moved.values():
        portfolio.updated_at = now
    PaperPortfolio.objects.bulk_update(moved.values(), [*MOVED, "updated_at"])
    return outcome


def placed_in(
    portfolio: PaperPortfolio, order: PaperOrder, *, market: Decimal | None, now: datetime
) -> PaperTrade:
    """Return the trade an order makes, and move the portfolio's money; nothing is stored yet."""
    if not portfolio.is_active:
        raise PortfolioClosed("This portfolio is closed: it takes no more trades.")
    price = market if market is not None else order.price
    assert price is not None
    made = deal(
        holdings_of(portfolio),
        side=order.side,
        market=price,
        amount=order.amount,
        value=order.value,
        terms=Terms(portfolio.fee_rate, portfolio.slippage),
    )
    move(portfolio, made, price)
    return PaperTrade(
        id=order.id,
        portfolio=portfolio,
        timestamp=now,
        trade_type=made.side,
        price=made.price,
        market_price=market,
        amount=made.amount,
        value=made.value,
        fee=made.fee,
        pnl=made.pnl,
        created_at=now,
    )


def holdings_of(portfolio: PaperPortfolio) -> Holdings:
    """Return what a portfolio has, in the words of the rules."""
    return Holdings(
        initial=portfolio.initial_balance,
        cash=portfolio.quote_balance,
        asset=portfolio.asset_balance,
        realized=portfolio.realized_pnl,
    )


def move(portfolio: PaperPortfolio, made: Deal, price: Decimal) -> None:
    """Give a portfolio what it holds after a trade, marked at the price before slippage."""
    after = made.holdings
    value = equity(after, price)
    if value is None or value >= LIMIT:
        raise OrderTooLarge("What is held after it is worth more than can be told.")
    portfolio.quote_balance, portfolio.asset_balance = after.cash, after.asset
    portfolio.avg_buy_price, portfolio.realized_pnl = after.average, after.realized
    portfolio.total_pnl = WIDE.subtract(value, portfolio.initial_balance)


def check_same(known: PaperTrade, portfolio: PaperPortfolio, order: PaperOrder) -> None:
    """Raise Conflict unless the trade of this id is what the order asks for."""
    differing = []
    if known.portfolio_id != portfolio.pk:
        differing.append("portfolio_id")
    if known.trade_type != order.side:
        differing.append("side")
    if order.amount is not None and order.amount != known.amount:
        differing.append("amount")
    if order.value is not None and order.value != known.value:
        differing.append("value")
    if order.price is None:
        same_price = known.market_price is not None
    else:
        paid = paid_price(order.price, side=order.side, slippage=portfolio.slippage)
        same_price = known.market_price is None and known.price == paid
    if not same_price:
        differing.append("price")
    if differing:
        raise Conflict("The id belongs to another order.", differing)
