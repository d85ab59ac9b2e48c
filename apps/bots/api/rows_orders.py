"""What programs send of orders, of what happens to them, and of their fills."""

from dataclasses import dataclass
from decimal import Decimal
from typing import Annotated, Any

from django.db.models import TextChoices
from msgspec import Meta

from apps.bots.choices import Liquidity, OrderEvent, OrderStatus, OrderType, Side, TradeType
from apps.bots.domain.orders import EVENT_OF, OTHER_WORDS, status_named
from apps.shared.api.identifiers import identifier
from apps.shared.api.rows import JsonObject, Key, Moment, Price, Row, Signed, Symbol, choice, text
from apps.shared.api.values import ChoiceCheck, Refused


@dataclass(frozen=True, slots=True)
class StatusCheck:
    """A word for how an order stands, as outside systems may say it too; kept as our own."""

    words: tuple[str, ...]

    def read(self, value: Any) -> str:
        """Return our own word."""
        word = status_named(value) if isinstance(value, str) else value
        if word not in self.words:
            raise Refused("not_a_choice", f"Must be one of {', '.join(self.words)}.")
        return str(word)

    def admits(self, column: Any, *, short: bool) -> bool:
        """Tell whether all are our own words already."""
        return set(column) <= set(self.words)


def standing(words: tuple[str, ...], description: str) -> Meta:
    """Return the metadata of a word for how an order stands."""
    others = [other for other, word in OTHER_WORDS.items() if word in words]
    return Meta(
        description=description,
        extra={"check": StatusCheck(words)},
        extra_json_schema={"enum": [*words, *others]},
    )


def choice_or_none(vocabulary: type[TextChoices], description: str) -> Meta:
    """Return the metadata of a word of a closed vocabulary that may be empty."""
    words = ("", *vocabulary.values)
    return Meta(
        description=description,
        extra={"check": ChoiceCheck(words)},
        extra_json_schema={"enum": list(words)},
    )


Name = Annotated[
    str,
    text(
        100,
        minimum=1,
        pattern=r"[^\s/]+(?: [^\s/]+)*",
        description="Chosen by the client; without a slash.",
    ),
]
TypeOrNone = Annotated[
    str, choice_or_none(TradeType, "Empty: that of its bot; live where there is no bot.")
]


class OrderRow(Row):
    """An instruction to buy or sell."""

    order_id: Name
    symbol: Symbol
    side: Annotated[str, choice(Side)]
    quantity: Price
    bot_id: Key | None = None
    trade_id: Annotated[str, identifier("The trade it opens or closes.")] | None = None
    trade_type: TypeOrNone = ""
    order_type: Annotated[str, choice(OrderType)] = OrderType.MARKET.value
    price: Price | None = None
    stop_price: Price | None = None
    status: Annotated[
        str,
        standing(
            tuple(OrderStatus.values),
            "How it stands when it is told first; what is filled follows from its fills.",
        ),
    ] = OrderStatus.PENDING.value
    strategy: Annotated[str, text(100)] = ""
    model_id: Key | None = None
    prediction_id: Key | None = None
    submitted_at: Moment | None = None
    extra_metadata: JsonObject = {}


class OrderEventRow(Row):
    """Something that happened to an order, besides its fills."""

    event: Annotated[
        str, standing(tuple(each.value for each in EVENT_OF.values()), "What happened to it.")
    ]
    timestamp: Annotated[Moment, Meta(description="When; now if not given.")] | None = None
    reason: Annotated[str, text(500, prose=True, description="Why it ended.")] = ""

    def which(self) -> OrderEvent:
        """Return the event."""
        return OrderEvent(self.event)


class FillRow(Row):
    """One execution of an order, or of a part of it."""

    order_id: Name
    fill_id: Annotated[str, text(100, minimum=1, pattern=r"\S+(?: \S+)*")]
    quantity: Price
    price: Price
    timestamp: Moment
    symbol: Annotated[str, text(50, description="Empty: that of its order.")] = ""
    side: Annotated[str, choice_or_none(Side, "Empty: that of its order.")] = ""
    commission: Signed = Decimal(0)
    commission_currency: Annotated[
        str,
        text(10, pattern=r"\S*", description="Empty: the currency the symbol is paid in."),
    ] = ""
    liquidity: Annotated[str, choice_or_none(Liquidity, "Empty: not known.")] = ""
