"""What a model writes for a coin, an action or a number, as what it means; nothing is guessed."""

import re
from collections.abc import Collection
from decimal import Context, Decimal
from math import isfinite
from typing import Final

from apps.agents.choices import Action
from apps.agents.domain.answers.loose import Bare, Block
from apps.shared.quant.digits import PRICE_LIMIT

LONGEST_COIN: Final = 20
LONGEST_NUMBER: Final = 80
RATIO_LIMIT: Final = Decimal(10) ** 12
# Two numbers of the longest kind are multiplied without a loss.
EXACT: Final = Context(prec=2 * LONGEST_NUMBER + 2)

# A coin against any of these is the coin; against another coin it is a market of its own.
QUOTED_IN: Final = r"(?:FDUSD|BUSD|USD[TC]?|DAI|EUR|PERP(?:ETUAL)?|SWAP)"
PAIR: Final = re.compile(rf"([A-Z0-9]+?)(?:[/:_ -]?{QUOTED_IN})+")
TICKER: Final = re.compile(r"[A-Z][A-Z0-9]{1,9}")

WORDS: Final = {
    Action.OPEN_LONG: "long buy openlong golong enterlong buylong longentry buytoenter strongbuy",
    Action.OPEN_SHORT: (
        "short sell openshort goshort entershort sellshort shortentry selltoenter strongsell"
    ),
    Action.CLOSE_POSITION: (
        "close closeposition closelong closeshort closetrade exit exitposition exitlong exitshort"
        " flatten"
    ),
    Action.HOLD: "hold holdposition holding wait keep stay noaction donothing notrade",
}
ACTIONS: Final = {word: action.value for action, words in WORDS.items() for word in words.split()}

# Written where there is no number.
NOTHING: Final = frozenset({"", "-", "–", "—", "na", "n/a", "nan", "none", "null", "nil", "unset"})
NUMBER: Final = re.compile(r"[+-]?(?:\d++(?:\.\d*+)?|\.\d++)(?:[eE][+-]?\d{1,3})?")
THOUSANDS: Final = re.compile(r"([+-]?\d{1,3}(?:,\d{3})++)(\.\d*+)?")
# Where the point is written as a comma: 0,65 and 1.250,50, but never 1,250.
COMMA: Final = re.compile(r"([+-]?(?:\d++|\d{1,3}(?:\.\d{3})++)),(\d{1,2}|\d{4,})")
MONEY: Final = re.compile(r"[$€]|(?<=[\d.km])\s*+(?:usd[tc]?|dollars?)$", re.IGNORECASE)
BETWEEN: Final = re.compile("[\\s_'’\u200b\ufeff\x00]")
FACTOR: Final = re.compile(r"^x\s*(?=\d)|(?<=[\d.])\s*(?:x|×|:\s*1)$", re.IGNORECASE)
SHORT_FOR: Final = {"k": Decimal(1_000), "m": Decimal(1_000_000)}


class UnreadableError(Exception):
    """A value that is there and cannot be read; the text is the value."""


def squeezed(word: str) -> str:
    """Return a word by which its spellings are one: take_profit, takeProfit and Take-Profit."""
    return "".join(filter(str.isalnum, word)).lower()


def coin_of(word: str, coins: Collection[str]) -> str:
    """Return the one of ``coins`` (upper case) that a word means; "" for none.

    >>> [coin_of(word, {"BTC"}) for word in ("btc", "$BTC", "BTC/USD", "BTCUSDT", "BTC-PERP")]
    ['BTC', 'BTC', 'BTC', 'BTC', 'BTC']
    >>> coin_of("ETH/BTC", {"ETH", "BTC"})
    ''
    """
    if len(word) > 3 * LONGEST_COIN:
        return ""
    plain = word.strip(" \t\r\n\"'`*_#$()[]\u200b\ufeff\x00").upper()
    if plain in coins:
        return plain
    found = PAIR.fullmatch(plain)
    return found[1] if found and found[1] in coins else ""


def action_of(value: object) -> str:
    """Return the action a signal stands for; "" for none and for what is no known signal."""
    return ACTIONS.get(squeezed(value), "") if isinstance(value, str) and len(value) < 60 else ""


def number_of(value: object, *, limit: Decimal = PRICE_LIMIT) -> Decimal | None:
    """Return a number of any dress: "$1,250.50", "1_250", 2.5k, "0,65"; None where none is told.

    Raises UnreadableError for whatever else stands there, and for what is not below ``limit``.
    """
    if isinstance(value, Block):
        raise UnreadableError("{…}")
    if value is None or not isinstance(value, str):
        return None
    plain = BETWEEN.sub("", MONEY.sub("", value.strip())) if len(value) <= LONGEST_NUMBER else value
    if plain.lower() in NOTHING:
        return None
    times = SHORT_FOR.get(plain[-1].lower(), Decimal(1))
    plain = plain[:-1] if times > 1 else plain
    if found := THOUSANDS.fullmatch(plain):
        plain = found[1].replace(",", "") + (found[2] or "")
    elif found := COMMA.fullmatch(plain):
        plain = f"{found[1].replace('.', '')}.{found[2]}"
    if len(value) > LONGEST_NUMBER or not NUMBER.fullmatch(plain):
        raise UnreadableError(value)
    return fitting(EXACT.multiply(Decimal(plain), times), limit, value)


def fitting(number: Decimal, limit: Decimal, told: str) -> Decimal:
    """Return a number that a column can hold. Raises UnreadableError, with what was told."""
    if number.copy_abs() >= limit:
        raise UnreadableError(told)
    return number


def leverage_of(value: object) -> Decimal | None:
    """Return a leverage: 10, "10x", "x10", "10:1"."""
    if isinstance(value, str) and len(value) <= LONGEST_NUMBER:
        value = FACTOR.sub("", value.strip())
    return number_of(value, limit=RATIO_LIMIT)


def confidence_of(value: object) -> Decimal | None:
    """Return a confidence as a fraction: 0.65, "65%" and 65 are the same.

    1 is certainty, as the scale of the decisions goes from 0 to 1; one percent is "1%". What is
    above 100, or below 0, is returned as it stands: it is no confidence, and that is for the
    rules to say.
    """
    if isinstance(value, str) and value.strip().endswith("%"):
        number = number_of(value.strip()[:-1], limit=RATIO_LIMIT)
        return None if number is None else number.scaleb(-2, context=EXACT)
    number = number_of(value, limit=RATIO_LIMIT)
    return number.scaleb(-2, context=EXACT) if number is not None and 1 < number <= 100 else number


def document_of(value: "Block | str | None") -> object:
    """Return what was read as a JSON value; of a name that stands twice, the last.

    A number that a float does not hold to the last digit stays text.
    """
    if isinstance(value, Block):
        if value.is_array:
            return [document_of(member.value) for member in value.members]
        return {member.name: document_of(member.value) for member in value.members}
    return _scalar(value) if isinstance(value, Bare) else value


def _scalar(word: Bare) -> object:
    known = {"true": True, "false": False, "null": None, "none": None}
    if word.lower() in known:
        return known[word.lower()]
    if len(word) > LONGEST_NUMBER or not NUMBER.fullmatch(word):
        return str(word)
    if word.lstrip("+-").isascii() and word.lstrip("+-").isdigit():
        return int(word)
    number = float(word)
    return number if isfinite(number) and Decimal(repr(number)) == Decimal(word) else str(word)
