"""What trades and orders must come to, worked out in fractions: the other side of a comparison.

Nothing of the product is used here.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

PLACES = 10**18


def text_of(value: Fraction | None) -> str | None:
    """Return a figure as the API writes it: 18 places, half to even, no padding zeros."""
    if value is None:
        return None
    scaled = round(value * PLACES)  # of Fractions: half to even
    sign = "-" if scaled < 0 else ""
    whole, rest = divmod(abs(scaled), PLACES)
    digits = f"{rest:018d}".rstrip("0")
    return f"{sign}{whole}.{digits}" if digits else f"{sign}{whole}"


def rounded(value: Fraction) -> Fraction:
    return Fraction(round(value * PLACES), PLACES)


@dataclass
class PlainTrade:
    """A round trip at a fee rate that is the same on both legs."""

    direction: str
    size: Fraction
    price: Fraction
    rate: Fraction
    status: str = "open"
    parts: dict[str, dict[str, Any]] = field(default_factory=dict)
    close: dict[str, Any] | None = None
    gross: Fraction | None = None
    fees: Fraction | None = None
    exit_value: Fraction = Fraction(0)

    def __post_init__(self) -> None:
        self.remaining = self.size
        self.entry_fee_left = rounded(self.rate * self.price * self.size)

    def book(self, size: Fraction, price: Fraction) -> None:
        """Close so much of it at a price."""
        whole = size == self.remaining
        share = self.entry_fee_left if whole else self.entry_fee_left * size / self.remaining
        entry_fee = rounded(share)
        self.entry_fee_left -= entry_fee
        sign = 1 if self.direction == "long" else -1
        gross = rounded((price - self.price) * size * sign)
        self.gross = (self.gross or Fraction(0)) + gross
        self.fees = (self.fees or Fraction(0)) + entry_fee + rounded(self.rate * price * size)
        self.exit_value += rounded(price * size)
        self.remaining -= size
        if not self.remaining:
            self.status = "closed"

    def shown(self) -> dict[str, str | None]:
        """Return what the API must answer of it."""
        closed = self.status == "closed"
        net = None if self.gross is None or self.fees is None else self.gross - self.fees
        return {
            "status": self.status,
            "remaining_position_size": text_of(self.remaining),
            "gross_pnl": text_of(self.gross),
            "net_pnl": text_of(net),
            "exit_price": text_of(self.exit_value / self.size) if closed else None,
        }


@dataclass
class PlainOrder:
    """An order, its fills and what was reported of its end."""

    quantity: Fraction
    fills: dict[str, tuple[Fraction, Fraction, int]] = field(default_factory=dict)
    events: dict[str, int] = field(default_factory=dict)

    @property
    def filled(self) -> Fraction:
        return sum((quantity for quantity, _, _ in self.fills.values()), Fraction(0))

    def report(self, event: str, moment: int) -> None:
        self.events[event] = min(moment, self.events.get(event, moment))

    def shown(self) -> dict[str, Any]:
        """Return what the API must answer of it."""
        filled = self.filled
        value = sum((quantity * price for quantity, price, _ in self.fills.values()), Fraction(0))
        ends = {name: at for name, at in self.events.items() if name != "accepted"}
        over = min(ends.values(), default=None)
        late = sum(over is not None and at > over for _, _, at in self.fills.values())
        if filled == self.quantity:
            status = "filled"
            last = max(at for _, _, at in self.fills.values())
            late += sum(at > last for at in ends.values())
        else:
            order = ["cancelled", "expired", "rejected"]
            counting = {n: at for n, at in ends.items() if not (n == "rejected" and filled)}
            first = min(counting, key=lambda n: (counting[n], order.index(n)), default=None)
            status = first or (
                "partially_filled"
                if filled
                else "accepted"
                if "accepted" in self.events
                else "pending"
            )
        return {
            "status": status,
            "filled_quantity": text_of(filled),
            "average_price": text_of(value / filled) if filled else None,
            "late_events": late,
        }
