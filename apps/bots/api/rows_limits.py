"""What programs send of limits."""

from typing import Annotated

from msgspec import Meta

from apps.bots.choices import Direction, LimitAction, LimitType, TradeType
from apps.shared.api.rows import Key, Price, Row, choice, text
from apps.shared.api.values import ChoiceCheck

# No slash: the key stands in addresses, with a verb behind it.
LimitKey = Annotated[
    str,
    text(
        100,
        minimum=1,
        pattern=r"[^\s/]+(?: [^\s/]+)*",
        description="Chosen by the client; without a slash.",
    ),
]
LimitedType = Annotated[
    str,
    Meta(
        description="Empty: that of its bot or lot. Trades of different types are never mixed.",
        extra={"check": ChoiceCheck(("", *TradeType.values))},
        extra_json_schema={"enum": ["", *TradeType.values]},
    ),
]


class LimitRow(Row):
    """A price, or an amount of the operator's own, that fires once when it is reached.

    ``stop_loss`` and ``take_profit`` have a ``price``, and a ``symbol`` or a ``lot_id``. The other
    kinds have a ``threshold``: money of ``currency`` (loss of a UTC day, exposure), percent
    (drawdown), a number of trades; with ``bot_id``, ``symbol`` or both they hold these, else all.
    """

    id: LimitKey
    limit_type: Annotated[str, choice(LimitType, "What it limits.")]
    bot_id: Key | None = None
    type: LimitedType = ""
    symbol: Annotated[
        str, text(50, pattern=r"(?:\S+(?: \S+)*)?", description="Empty: that of its lot, or all.")
    ] = ""
    lot_id: Annotated[str, text(100, minimum=1)] | None = None
    direction: Annotated[
        str, choice(Direction, "What is held: the stop of a short lies above its price.")
    ] = Direction.LONG.value
    price: Price | None = None
    size: Price | None = None
    threshold: Price | None = None
    currency: Annotated[
        str,
        text(
            10,
            pattern=r"\S*",
            description="Of money; empty: that of the bot, else what the symbol is quoted in.",
        ),
    ] = ""
    action: Annotated[
        str, choice(LimitAction, "What becomes of the bots it holds; staff are told in any case.")
    ] = LimitAction.NOTIFY.value
    notes: Annotated[str, text(10_000, prose=True)] = ""


class NothingToSay(Row):
    """Nothing needs to be said."""
