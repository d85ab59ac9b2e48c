"""What programs send of paper trading: portfolios, orders, what they make of their own."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from apps.bots.choices import Side
from apps.shared.api.rows import (
    ONE,
    ZERO,
    Key,
    Moment,
    Price,
    Ratio,
    Real,
    Row,
    Signed,
    Symbol,
    choice,
    number,
    text,
)
from apps.shared.api.values import NumberCheck
from apps.shared.fields import RATIO_PLACES

USUAL_SYMBOL = "BTC/USD"
USUAL_BALANCE = Decimal(10_000)

PortfolioId = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Fraction = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, below=ONE, places=RATIO_PLACES),
        "0 or greater and less than 1: 0.001 is 0.1 %; at most 8 digits behind the point.",
    ),
]
Percent = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, maximum=Decimal(100), places=RATIO_PLACES),
        "Percent, 0 to 100; at most 8 digits behind the point.",
    ),
]


class PaperPortfolioRow(Row):
    """Pretended money, and the one asset it is traded for."""

    name: Annotated[str, text(100, minimum=1, pattern=r"\S+(?: \S+)*")]
    symbol: Symbol = USUAL_SYMBOL
    initial_balance: Annotated[
        Price, Meta(description="The cash it begins with; moved by its trades alone afterwards.")
    ] = USUAL_BALANCE
    fee_rate: Annotated[Fraction, Meta(description="Of the value of each trade.")] = ZERO
    slippage: Annotated[Fraction, Meta(description="By how much prices go against each trade.")] = (
        ZERO
    )
    bot_id: Key | None = None


class PaperOrderRow(Row):
    """A purchase or sale at the market's price: over an amount of the asset, or over a value."""

    id: Annotated[
        str,
        text(100, minimum=1, pattern=r"\S+(?: \S+)*", description="Chosen by the client."),
    ]
    side: Annotated[str, choice(Side)]
    amount: Annotated[Price, Meta(description="Of the asset.")] | None = None
    value: (
        Annotated[Price, Meta(description="In the quote currency, the fee not included.")] | None
    ) = None
    price: (
        Annotated[
            Price,
            Meta(description="Instead of the market's, before slippage; market_price is empty."),
        ]
        | None
    ) = None


class PaperTradeRow(PaperOrderRow, kw_only=True):
    """A purchase or sale, and the portfolio it is for."""

    portfolio_id: PortfolioId


class PaperPerformanceRow(Row, kw_only=True):
    """What somebody else makes of a portfolio, ours or his own."""

    portfolio_id: PortfolioId | None = None
    timestamp: Moment
    total_value: Signed
    daily_pnl: Signed | None = None
    total_pnl: Signed | None = None
    win_rate: Percent | None = None
    sharpe_ratio: Real | None = None
    max_drawdown: Annotated[Ratio, Meta(description="Percent.")] | None = None
    price: Price | None = None


class EmptyRow(Row):
    """Nothing needs to be said."""
