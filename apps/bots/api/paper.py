"""What programs tell and read of paper trading."""

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_paper import (
    EmptyRow,
    PaperOrderRow,
    PaperPerformanceRow,
    PaperPortfolioRow,
    PaperTradeRow,
)
from apps.bots.choices import Origin, Side
from apps.bots.models import PaperPerformance, PaperPortfolio, PaperTrade
from apps.bots.services import paper, paper_performance
from apps.logs.api.callers import DecisionPermission, name_of
from apps.shared.api import batches, filters, parsing
from apps.shared.api.errors import ApiError
from apps.shared.api.filters import ANY_OF, EXACT, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.permissions import is_bound, narrow
from apps.shared.api.viewsets import BODY_BYTES, EntityViewSet, FactViewSet
from apps.shared.api.writing import once
from apps.shared.errors import FieldError
from apps.shared.ingest import Ingested, RowStatus

OWN = {"bot": "bot_id"}
OF_PORTFOLIO = {"bot": "portfolio__bot_id"}

PORTFOLIO_FIELDS = [
    "id",
    "name",
    "bot_id",
    "symbol",
    "quote_balance",
    "asset_balance",
    "initial_balance",
    "avg_buy_price",
    "realized_pnl",
    "total_pnl",
    "fee_rate",
    "slippage",
    "is_active",
    "generation",
    "predecessor_id",
    "closed_at",
    "created_at",
    "updated_at",
]
TRADE_FIELDS = [
    "id",
    "portfolio_id",
    "timestamp",
    "trade_type",
    "price",
    "market_price",
    "amount",
    "value",
    "fee",
    "pnl",
    "created_at",
]


def portfolios_of(request: Request) -> QuerySet[PaperPortfolio]:
    """Return the portfolios that a request's key may touch."""
    return narrow(PaperPortfolio.objects.all(), request.auth, OWN)


def order_of(row: PaperOrderRow) -> paper.PaperOrder:
    """Return what a row orders. Raises ApiError (400) unless it names amount or value."""
    if errors := wrong_with(row):
        raise batches.invalid(errors)
    return paper.PaperOrder(
        id=row.id, side=Side(row.side), amount=row.amount, value=row.value, price=row.price
    )


def wrong_with(row: PaperOrderRow) -> list[FieldError]:
    """Return what is wrong with an order, as far as it can be told without its portfolio."""
    if (row.amount is None) == (row.value is None):
        message = "Name either the amount of the asset or the value in the quote currency."
        return [FieldError("/amount", "one_of_two", message)]
    return []


class PaperPortfolioViewSet(EntityViewSet):
    """Portfolios of pretended money: one asset each, by default 10,000 USD for BTC.

    A POST opens one under a name that no active one has; the same again answers it as it stands.
    Balances are moved by ``trades/`` alone. ``reset/`` closes a portfolio with its history and
    opens the next ``generation``. PUT and PATCH change fee rate and slippage.
    """

    queryset = PaperPortfolio.objects.all()
    row = PaperPortfolioRow
    key = ["name"]
    subject_fields = OWN
    fields = PORTFOLIO_FIELDS
    filterset_fields = {
        "name": ANY_OF,
        "bot_id": ANY_OF,
        "symbol": ANY_OF,
        "is_active": EXACT,
        "generation": ANY_OF,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at"]

    def get_queryset(self) -> QuerySet[Any]:
        """Return the portfolios this request may see; of a new one's name only the active one."""
        found = super().get_queryset()
        return found.filter(is_active=True) if self.action == "create" else found

    def store(self, rows: Sequence[PaperPortfolioRow]) -> Ingested:
        return paper.open_portfolios(rows, now=timezone.now())

    def replace(self, rows: Sequence[PaperPortfolioRow]) -> Ingested:
        """Change the portfolio of the address."""
        [row] = rows
        return paper.change_portfolio(portfolio_id=self.held().pk, row=row, now=timezone.now())

    @action(detail=True, methods=["post"])
    @describe(body=PaperOrderRow, answer=STORED_ROW)
    def trades(self, request: Request, **kwargs: str) -> HttpResponse:
        """Buy or sell at the newest price, and answer the trade as ``paper-trades/`` shows it.

        The same order again answers the trade it made (200); its id with other content is a 409.
        More than there is (``insufficient_funds``, ``insufficient_asset``), no price or one that
        is more than a day old (``no_price``, ``stale_price``) are a 422.
        """
        filters.check_known(request._request.GET, [])
        order = order_of(self.read_one(request, PaperOrderRow))
        return traded(self.held().pk, order)

    @action(detail=True, methods=["post"], permission_classes=[DecisionPermission])
    @describe(answer=STORED_ROW)
    def reset(self, request: Request, **kwargs: str) -> HttpResponse:
        """Close a portfolio, which keeps its history, and answer the one that takes its place.

        Safe to repeat with an ``Idempotency-Key`` only; one that is closed already is a 409.
        """
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BODY_BYTES)
        if not parsing.empty_body(body):
            self.read_one(request, EmptyRow)
        number, by = self.held().pk, name_of(request)
        new = once(lambda: paper.reset(portfolio_id=number, by=by, now=timezone.now()))
        return self.stored(PaperPortfolio.objects.filter(pk=new.pk), status=201)

    def held(self) -> PaperPortfolio:
        """Return the portfolio of the address."""
        found: PaperPortfolio | None = self.found().first()
        if found is None:
            raise Http404
        return found


def traded(portfolio_id: int, order: paper.PaperOrder) -> HttpResponse:
    """Trade, and answer the trade as it is stored."""
    trade, created = once(
        lambda: paper.trade(portfolio_id=portfolio_id, order=order, now=timezone.now())
    )
    return PaperTradeViewSet().stored(
        PaperTrade.objects.filter(pk=trade.pk), status=201 if created else 200
    )


class PaperTradeViewSet(FactViewSet):
    """Trades of paper portfolios: what was paid, the fee, what sales realized after all fees.

    A POST trades, each row after the one before it, with the portfolio it names.
    """

    queryset = PaperTrade.objects.all()
    row = PaperTradeRow
    lookup_field = "id"
    lookup_value_regex = ".+"
    subject_fields = OF_PORTFOLIO
    fields = TRADE_FIELDS
    filterset_fields = {
        "portfolio_id": ANY_OF,
        "trade_type": ANY_OF,
        "timestamp": RANGE,
        "pnl": RANGE,
    }
    ordering_fields = ["timestamp"]

    def store(self, rows: Sequence[PaperTradeRow]) -> Ingested:
        """Trade one row after the other; those that are refused do not hold up the others."""
        outcome = Ingested()
        places: list[int] = []
        for place, row in enumerate(rows):
            errors = wrong_with(row)
            if errors:
                outcome.fail(place, errors)
            else:
                places.append(place)
        own = self.own(rows[place].portfolio_id for place in places)
        orders = [
            # A portfolio of others is none.
            (each.portfolio_id if each.portfolio_id in own else 0, order_of(each))
            for each in (rows[place] for place in places)
        ]
        for place, placed in zip(
            places, paper.place_orders(orders, now=timezone.now()), strict=True
        ):
            if placed.refusal is not None:
                refused = placed.refusal
                plain = [FieldError("", refused.code, refused.message)]
                outcome.fail(place, refused.errors or plain)
            else:
                outcome.note(place, RowStatus.CREATED if placed.created else RowStatus.UNCHANGED)
        outcome.sort()
        return outcome

    def create_one(self, batch: batches.Batch[Any]) -> HttpResponse:
        """Trade once; a refusal keeps the status of the rule that refused it."""
        if batch.failures:
            raise batches.invalid(batch.failures[0])
        [row] = batch.rows
        order = order_of(row)
        if not self.own([row.portfolio_id]):
            raise paper.UnknownPortfolio("There is no paper portfolio of this id.")
        return traded(row.portfolio_id, order)

    def own(self, ids: Any) -> set[int]:
        """Return which of these portfolios the request's key may touch."""
        rows = portfolios_of(self.request).filter(pk__in=set(ids))
        return set(rows.values_list("pk", flat=True))


class PaperPerformanceViewSet(FactViewSet):
    """Portfolios marked to market: ours every quarter of an hour, and what others report.

    What is posted is kept as ``reported`` beside what is ``computed`` here, once per portfolio
    and moment; without a ``portfolio_id`` it is about no portfolio of ours.
    """

    queryset = PaperPerformance.objects.all()
    row = PaperPerformanceRow
    key = ["portfolio_id", "timestamp"]
    subject_fields = OF_PORTFOLIO
    fields = [
        "id",
        "portfolio_id",
        "timestamp",
        "origin",
        "price",
        "total_value",
        "daily_pnl",
        "total_pnl",
        "win_rate",
        "sharpe_ratio",
        "max_drawdown",
        "created_at",
    ]
    filterset_fields = {
        "portfolio_id": ANY_OF,
        "origin": ANY_OF,
        "timestamp": RANGE,
    }
    ordering_fields = ["timestamp"]

    def get_queryset(self) -> QuerySet[Any]:
        """Return the rows this request may see; of a new one's moment only the reported one."""
        found = super().get_queryset()
        return found.filter(origin=Origin.REPORTED) if self.action == "create" else found

    def store(self, rows: Sequence[PaperPerformanceRow]) -> Ingested:
        """Keep reports; a key bound to a bot speaks of that bot's portfolios alone."""
        if is_bound(self.request.auth, OWN) and any(row.portfolio_id is None for row in rows):
            message = "This key is bound: name the portfolio it is about."
            error = FieldError("/portfolio_id", "subject_missing", message)
            raise ApiError(403, error.code, error.message, [error])
        within = portfolios_of(self.request)
        return paper_performance.store_reported(rows, now=timezone.now(), within=within)
