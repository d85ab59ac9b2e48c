"""What programs send of lots: bookings and reservations."""

from decimal import Decimal
from typing import Annotated

from msgspec import Meta

from apps.bots.api.rows_orders import Name, TypeOrNone
from apps.bots.choices import Side
from apps.shared.api.rows import Amount, Key, Moment, Price, Row, Signed, Symbol, text
from apps.shared.api.values import ChoiceCheck

# Old programs book it too; the service says why it is no booking.
HOLD = "hold"


class LotTradeRow(Row):
    """A buy into a lot, or a sale from one or several."""

    id: Name
    symbol: Symbol
    trade_type: Annotated[
        str,
        Meta(
            description="Which way it goes.",
            extra={"check": ChoiceCheck((*Side.values, HOLD))},
            extra_json_schema={"enum": list(Side.values)},
        ),
    ]
    price: Price
    size: Price
    timestamp: Moment
    bot_id: Key | None = None
    type: TypeOrNone = ""
    fee: Annotated[
        Signed, Meta(description="In the quote currency; what the venue pays back is negative.")
    ] = Decimal(0)
    lot_id: (
        Annotated[
            Name,
            Meta(
                description="None: a buy makes a lot of its own name, a sale takes the oldest lots."
            ),
        ]
        | None
    ) = None
    notes: Annotated[str, text(10_000, prose=True)] = ""


class ReservationRow(Row):
    """How much of a lot is reserved."""

    size: Annotated[Amount, Meta(description="In all, whatever was reserved before.")]
