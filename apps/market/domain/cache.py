"""The rules of the cache of outside answers: keys, how long what is good, patterns, payloads."""

import hashlib
import json
import math
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

from apps.market.choices import Granularity
from apps.shared.errors import DomainError

# A longer key is replaced by its hash.
LONGEST_KEY = 200
# A larger answer is handed on, but not kept.
LARGEST_PAYLOAD = 8 * 1024 * 1024
# A venue that has not closed its candle yet is asked again after this, whatever the rule says.
INCOMPLETE_SECONDS = 30

MINUTE, HOUR, DAY = 60, 3600, 86_400


class Rule(NamedTuple):
    """How long an answer of one type is fresh, and for how long after that better than none."""

    data_type: str
    ttl_seconds: int
    stale_seconds: int
    description: str


OLD_PRICE = "Moves all the time: an old one misleads after minutes."
CANDLES = "Finished candles never change: an old answer is right, only shorter."
DAYS = "Moves by the day: yesterday's value is better than none."
RELEASES = "Released by the week or month: last week's value mostly still holds."

# The times to live of the source: those of its service and those of its integrations, which
# agree where both name a type. ``crypto`` and ``onchain_metrics`` are types of its stored
# entries, with the times that those show; ``markets`` is ours. How long an answer may serve
# when its source fails is ours too: the source threw away whatever had expired.
DEFAULT_RULES = (
    Rule("default", 300, HOUR, "Answers for every type that has no rule of its own."),
    Rule("price", 60, 5 * MINUTE, OLD_PRICE),
    Rule("real_time_price", 30, 5 * MINUTE, OLD_PRICE),
    Rule("crypto", 300, HOUR, "Charts of crypto currencies."),
    Rule("order_book", 10, MINUTE, "Gone within seconds."),
    Rule("ohlcv", 300, DAY, CANDLES),
    Rule("ohlcv_1m", 30, DAY, CANDLES),
    Rule("ohlcv_5m", 60, DAY, CANDLES),
    Rule("ohlcv_15m", 180, DAY, CANDLES),
    Rule("ohlcv_1h", 300, DAY, CANDLES),
    Rule("ohlcv_4h", 600, DAY, CANDLES),
    Rule("ohlcv_1d", 900, DAY, CANDLES),
    Rule("technical", 300, HOUR, "Computed from candles; soon computed anew."),
    Rule("sentiment", 1800, DAY, DAYS),
    Rule("fear_greed", 3600, 2 * DAY, "Comes once a day."),
    Rule("news", 900, DAY, "Old news is still news of that day."),
    Rule("onchain", 1800, DAY, DAYS),
    Rule("onchain_metrics", 1800, DAY, DAYS),
    Rule("network", 1800, DAY, DAYS),
    Rule("network_stats", 1800, DAY, DAYS),
    Rule("blockchain", 3600, DAY, DAYS),
    Rule("macro", 3600, 7 * DAY, RELEASES),
    Rule("economic", 7200, 7 * DAY, RELEASES),
    Rule("forex", 300, HOUR, "Moves all day, but slowly."),
    Rule("commodity", 600, HOUR, "Moves all day, but slowly."),
    Rule("markets", 3600, 7 * DAY, "What an exchange trades and how: changes by the week."),
)

# --- Keys ---------------------------------------------------------------------------------


def cache_key(source: str, method: str, /, *args: object, **kwargs: object) -> str:
    """Return the key of a question: ``source:method:arg1:arg2:name=value``.

    Source and method in lower case, arguments as they are, names in order; over 200 characters
    ``source:method:<md5 of the whole key>``. A colon within an argument, and whatever else
    would make two questions one, is written %3A, %3D or %25. Give no secret: keys are shown.
    Raises ValueError without a source or a method, or when they leave no room for the hash.
    """
    name = f"{plain(source.lower())}:{plain(method.lower())}"
    if not (source and method) or len(name) > LONGEST_KEY - 33:
        raise ValueError("A key needs a source and a method, together up to 166 characters.")
    parts = [plain(argument).replace("=", "%3D") for argument in args]
    parts += [f"{plain(word).replace('=', '%3D')}={plain(kwargs[word])}" for word in sorted(kwargs)]
    key = ":".join([name, *parts])
    # The database takes neither half a character nor NUL.
    whole = key.encode(errors="surrogatepass")
    if len(key) > LONGEST_KEY or b"\0" in whole or whole != key.encode(errors="replace"):
        return f"{name}:{hashlib.md5(whole, usedforsecurity=False).hexdigest()}"
    return key


def plain(argument: object) -> str:
    """Return an argument as a part of a key: without a colon, which ends a part."""
    text = argument.isoformat() if isinstance(argument, datetime) else str(argument)
    return text.replace("%", "%25").replace(":", "%3A")


def digest(value: object) -> str:
    """Return a short hash for a key of what is long or must not be shown: options, an address."""
    text = json.dumps(value, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# --- How long -----------------------------------------------------------------------------


def rule_for(rules: Mapping[str, Rule], data_type: str) -> Rule:
    """Return the rule of a type: its own, else "default", else the built-in default."""
    return rules.get(data_type) or rules.get("default") or DEFAULT_RULES[0]


# The source names types for six granularities; the others go with the next finer one.
CANDLE_TYPES = {
    Granularity.M3: "ohlcv_1m",
    Granularity.M30: "ohlcv_15m",
    Granularity.H2: "ohlcv_1h",
    Granularity.H6: "ohlcv_4h",
    Granularity.H12: "ohlcv_4h",
    Granularity.W1: "ohlcv_1d",
}


def candle_type(granularity: str) -> str:
    """Return the type of data that candles of a granularity are: ohlcv_1m … ohlcv_1d."""
    return CANDLE_TYPES.get(Granularity(granularity), f"ohlcv_{granularity}")


# --- Patterns -----------------------------------------------------------------------------


class PatternRefused(DomainError):
    """A pattern that says nothing, or that no key could hold."""

    code = "pattern_refused"


def like_text(pattern: str) -> str:
    r"""Return the LIKE of keys that hold ``pattern``: itself, with ``*`` for anything.

    ``%``, ``_`` and ``\`` match only themselves. PatternRefused for one that is empty or only
    wildcards: to throw everything away is a wish of its own (kind "all").
    """
    if not pattern.replace("*", "").strip():
        raise PatternRefused(
            "The pattern is empty or only wildcards, so that it would match every key. "
            'To throw everything away, choose the kind "all".'
        )
    if "\0" in pattern or len(pattern) > 255:
        raise PatternRefused("No key holds such a pattern: over 255 characters, or a NUL.")
    parts = (
        part.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        for part in pattern.split("*")
    )
    return f"%{'%'.join(parts)}%"


def pattern_holds(pattern: str, key: str) -> bool:
    """Say whether ``like_text`` of a pattern matches a key: its parts stand there in order."""
    place = 0
    for part in pattern.split("*"):
        found = key.find(part, place)
        if found < 0:
            return False
        place = found + len(part)
    return True


# --- Payloads -----------------------------------------------------------------------------


class NotJson(DomainError):
    """An answer that JSON does not hold as it is."""

    code = "not_json"


def as_json(value: Any) -> str:
    """Return an answer as the text that is stored: JSON, decimals as strings, ASCII.

    NotJson for NaN and infinity, whatever their type, and for what JSON has no form for.
    """
    try:
        return json.dumps(value, allow_nan=False, default=decimal_text, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJson(f"The answer is not JSON: {error}.") from error


def decimal_text(value: object) -> str:
    if not isinstance(value, Decimal):
        raise TypeError(f"{type(value).__name__} has no form in it")
    if not value.is_finite():
        raise ValueError("a decimal is not finite")
    return str(value)


def from_json(text: str) -> Any:
    """Return what a stored answer holds; NotJson where it does not parse."""
    try:
        return json.loads(text, parse_constant=no_constant, parse_float=finite)
    except (ValueError, RecursionError) as error:
        raise NotJson(f"The answer is not JSON: {error}.") from error


def no_constant(name: str) -> Any:
    raise ValueError(f"it holds {name}")


def finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("it holds a number that is too large")
    return value


def size_of(text: str) -> int:
    """Return how many bytes of UTF-8 a text takes."""
    return len(text.encode(errors="surrogatepass"))
