"""What of the bots' tables may leave one day."""

from django.db.models import Exists, F, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce

from apps.bots.choices import TradeStatus, TradeType
from apps.bots.models import BotPerformance, Fill, Order, PaperPerformance, Trade
from apps.bots.services.carrying import carried
from apps.shared.retention.datasets import Dataset, Dependent, Exemption, register

parts = Trade.objects.filter(parent_trade_id=OuterRef("pk"))
own_orders = Order.objects.filter(trade_id=OuterRef("pk"))
orders_of_parts = Order.objects.filter(trade__parent_trade_id=OuterRef("pk"))

LIVE = (
    Q(trade_type=TradeType.LIVE)
    | Q(Exists(parts.filter(trade_type=TradeType.LIVE)))
    | Q(Exists(own_orders.filter(trade_type=TradeType.LIVE)))
    | Q(Exists(orders_of_parts.filter(trade_type=TradeType.LIVE)))
)
OPEN = Q(status=TradeStatus.OPEN) | Q(Exists(parts.filter(status=TradeStatus.OPEN)))
OPEN_ORDERS = Q(Exists(own_orders.working())) | Q(Exists(orders_of_parts.working()))

# One probe of an index for each row; as "a later one exists" it would be a join of all with all.
newest_metrics = BotPerformance.objects.filter(
    bot_id=OuterRef("bot_id"),
    trade_type=OuterRef("trade_type"),
    quote_currency=OuterRef("quote_currency"),
    origin=OuterRef("origin"),
).order_by("-calculated_at")
NEWEST_METRICS = Q(calculated_at=Subquery(newest_metrics.values("calculated_at")[:1]))

marks = PaperPerformance.objects.filter(origin=OuterRef("origin")).order_by("-timestamp")
newest_of_portfolio = marks.filter(portfolio_id=OuterRef("portfolio_id")).values("timestamp")[:1]
newest_of_all = marks.filter(portfolio__isnull=True).values("timestamp")[:1]
# Marks without a portfolio are of all of them together.
NEWEST_MARK = Q(timestamp=Subquery(newest_of_portfolio), portfolio__isnull=False) | Q(
    timestamp=Subquery(newest_of_all), portfolio__isnull=True
)

register(
    Dataset(
        name="trades",
        title="Closed paper and optimization trades",
        about="Whole round trips with their parts, orders and fills; what they came to is carried "
        "forward. Cancelled ones have no exit, and stay.",
        model=Trade,
        times=("exit_time",),
        age_days=90,
        # Results of a day, a week or a month are summed over the trades themselves.
        least_days=31,
        scope=Q(parent_trade__isnull=True),
        never=(
            Exemption("live", "it, a part or an order of it is live", LIVE),
            Exemption("open", "it is open", OPEN),
            Exemption("open_orders", "an order of it may still be filled", OPEN_ORDERS),
        ),
        dependents=(
            Dependent(Trade, F("parent_trade")),
            Dependent(Order, Coalesce(F("trade__parent_trade"), F("trade"))),
            Dependent(Fill, Coalesce(F("order__trade__parent_trade"), F("order__trade"))),
        ),
        around=carried,
    ),
    Dataset(
        name="bot_performance",
        title="Bot performance",
        about="Figures of bots as they stood at a moment, computed here or reported.",
        model=BotPerformance,
        times=("calculated_at",),
        age_days=365,
        never=(Exemption("newest", "it is the newest of its kind of its bot", NEWEST_METRICS),),
    ),
    Dataset(
        name="paper_performance",
        title="Paper performance",
        about="Paper portfolios as they were marked to market at a moment.",
        model=PaperPerformance,
        times=("timestamp",),
        age_days=365,
        enabled=False,
        never=(Exemption("newest", "it is the newest of its portfolio", NEWEST_MARK),),
    ),
)
