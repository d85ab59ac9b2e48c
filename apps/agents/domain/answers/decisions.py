"""One decision, read from the fields of its piece or from its line."""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

from apps.agents.choices import Action
from apps.agents.domain.answers.loose import Block, Member
from apps.agents.domain.answers.pieces import (
    COINS,
    CONFIDENCES,
    LEVERAGES,
    REASONS,
    RISKS,
    SIDES,
    SIGNALS,
    SIZES,
    STOPS,
    TARGETS,
    Piece,
)
from apps.agents.domain.answers.sections import Told
from apps.agents.domain.answers.values import (
    EXACT,
    LONGEST_COIN,
    RATIO_LIMIT,
    UnreadableError,
    action_of,
    coin_of,
    confidence_of,
    document_of,
    fitting,
    leverage_of,
    number_of,
    squeezed,
)
from apps.shared.quant.digits import PRICE_LIMIT, PRICE_PLACES, RATIO_PLACES

LONGEST_RAW: Final = 8_000
NO_REASONING: Final = "No reasoning provided"
ZERO, ONE = Decimal(0), Decimal(1)
# A side may say which way, where the signal says only that.
OPENS: Final = frozenset({"open", "enter", "entry"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """A decision as it was told. What was not told is None; ``place`` is its turn, from 0."""

    coin: str
    action: str
    size_usd: Decimal | None
    leverage: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal | None
    reasoning: str
    document: dict[str, Any]
    place: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A piece of an answer that tells no decision: its text, why, and what is known of it."""

    coin: str
    action: str
    raw: str
    message: str
    document: dict[str, Any] = field(default_factory=dict)
    place: int = 0


def line_read(line: Told, **also: str) -> Read | Broken:
    document = {"TRADING_DECISIONS": line.raw, **also}
    if not line.action:
        message = "The line says no known signal."
        return Broken(coin=line.coin, action="", raw=line.raw, message=message, document=document)
    opens = line.action in (Action.OPEN_LONG, Action.OPEN_SHORT)
    size, leverage = (None, None) if opens else (ZERO, ONE)
    return Read(
        coin=line.coin,
        action=line.action,
        size_usd=size,
        leverage=leverage,
        stop_loss_price=size,
        take_profit_price=size,
        confidence=line.confidence,
        reasoning=NO_REASONING,
        document=document,
    )


def piece_read(piece: Piece, text: str, known: Collection[str]) -> Read | Broken:
    fields = _Fields(piece.members)
    coin = _coin(piece, fields, known)
    action = _action(fields)
    confidence = fields.number(CONFIDENCES, confidence_of, RATIO_PLACES)
    leverage = fields.number(LEVERAGES, leverage_of, RATIO_PLACES)
    size: Decimal | None = ZERO
    stop: Decimal | None = ZERO
    target: Decimal | None = ZERO
    if action in (Action.HOLD, Action.CLOSE_POSITION):
        leverage = max(leverage or ONE, ONE)
    else:
        size = _size(fields, leverage)
        stop = fields.number(STOPS, number_of, PRICE_PLACES)
        target = fields.number(TARGETS, number_of, PRICE_PLACES)
    faults = fields.faults if piece.is_whole else ["The answer ends in the middle of it."]
    document = fields.document()
    if faults:
        end = min(max(piece.end, piece.start), piece.start + LONGEST_RAW)
        raw = text[piece.start : end].strip().rstrip(",")
        message = " ".join(faults)
        return Broken(coin=coin, action=action, raw=raw, message=message, document=document)
    return Read(
        coin=coin,
        action=action,
        size_usd=size,
        leverage=leverage,
        stop_loss_price=stop,
        take_profit_price=target,
        confidence=confidence,
        reasoning=fields.text(REASONS) or NO_REASONING,
        document=document,
    )


def _coin(piece: Piece, fields: "_Fields", known: Collection[str]) -> str:
    told = fields.text(COINS)
    own = coin_of(told, known) or told.strip().upper()
    if piece.coin and own and own != piece.coin:
        fields.faults.append(f"It stands under {piece.coin} and names {own[:LONGEST_COIN]}.")
    coin = piece.coin or own or (next(iter(known)) if len(known) == 1 else "")
    if not coin or len(coin) > LONGEST_COIN or not coin.isprintable():
        fields.faults.append("It names no coin.")
        return ""
    return coin


def _action(fields: "_Fields") -> str:
    told = fields.values(SIGNALS)
    actions = {action for value in told if (action := action_of(value))}
    if not actions and all(not value or squeezed(str(value)) in OPENS for value in told):
        told += fields.values(SIDES)
        actions = {action for value in told if (action := action_of(value))}
    if len(actions) == 1:
        return actions.pop()
    if actions:
        fields.faults.append(f"Its signals differ: {', '.join(sorted(actions))}.")
    elif words := [value[:60] for value in told if isinstance(value, str) and value.strip()]:
        fields.faults.append(f"“{words[0]}” is no known signal.")
    else:
        fields.faults.append("It has no signal.")
    return ""


def _size(fields: "_Fields", leverage: Decimal | None) -> Decimal | None:
    if (size := fields.number(SIZES, number_of, PRICE_PLACES)) is not None:
        return size
    risk = fields.number(RISKS, number_of, PRICE_PLACES)
    if risk is None or leverage is None:
        return None
    try:
        return _kept(EXACT.multiply(risk, leverage), PRICE_PLACES, f"{risk} × {leverage}")
    except UnreadableError as error:
        fields.faults.append(f"Its size is too large: {error}.")
        return None


def _kept(number: Decimal, places: int, told: str) -> Decimal:
    """Return a number as columns keep it. Raises UnreadableError where they cannot."""
    limit = PRICE_LIMIT if places == PRICE_PLACES else RATIO_LIMIT
    exponent = fitting(number, limit, told).as_tuple().exponent
    if isinstance(exponent, int) and exponent >= -places:
        return number
    # What is just below the limit may be rounded up to it.
    return fitting(number.quantize(Decimal(1).scaleb(-places), context=EXACT), limit, told)


class _Fields:
    """The fields of one piece by their squeezed names, and what is wrong with them."""

    def __init__(self, members: Sequence[Member]) -> None:
        self.faults: list[str] = []
        self._members = members
        self._told: dict[str, list[Block | str | None]] = {}
        for member in members:
            self._told.setdefault(squeezed(member.name), []).append(member.value)

    def values(self, names: Iterable[str]) -> list[Block | str | None]:
        """Return all that is told under these names."""
        return [value for name in names for value in self._told.get(name, ())]

    def text(self, names: Iterable[str]) -> str:
        """Return the first text that is not empty; of anything but text, its JSON."""
        for value in self.values(names):
            plain = document_of(value)
            text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
            if plain is not None and text.strip():
                return text.strip()
        return ""

    def number(
        self, names: Iterable[str], read: Callable[[object], Decimal | None], places: int
    ) -> Decimal | None:
        """Return the first number that is told; one name with two numbers is a fault."""
        for name in names:
            try:
                numbers = {
                    one for value in self._told.get(name, ()) if (one := read(value)) is not None
                }
                kept = [_kept(number, places, str(number)) for number in sorted(numbers)]
            except UnreadableError as error:
                self.faults.append(f"Its {name} cannot be read: “{str(error)[:60]}”.")
                return None
            if len(numbers) > 1:
                self.faults.append(
                    f"Its {name} is told twice: {', '.join(map(str, sorted(numbers)))}."
                )
            if kept:
                return kept[0]
        return None

    def document(self) -> dict[str, Any]:
        """Return the fields as a JSON object."""
        return {member.name: document_of(member.value) for member in self._members}
