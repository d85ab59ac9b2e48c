"""The versions of the feature columns, and a fingerprint of what defines each."""

import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from apps.market.domain.features.columns import COLUMNS

ORIGINAL: Final = "3.0"
MENDED: Final = "3.1"

_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8}))*", re.ASCII)

# All that a formula takes as given, in words: whoever changes a formula, a window or an answer
# to "what if there is nothing to divide by" changes a line here, and gives a new version.
_RULES: Final = {
    "returns": "(c-c1)/c1; log ln(1+r); sign; square; acceleration r-r1",
    "candle": "(h-l)/c; (c-o)/o",
    "averages": "mean of 24, 120, 480 closes, fewer at first; c/mean; short/med; med/long",
    "volatility": "std ddof 1 of r over 12, 24, 120 * sqrt 24; std 24 of the med one",
    "garman_klass": "sqrt(24 * mean24(ln(h/l)^2/2 - (2 ln 2 - 1) ln(c/o)^2)); negative unknown",
    "volume": "mean of 120 volumes; v/mean, 0/0 unknown; ln(v+1)",
    "vpt": "sum v*r from row 1; mean of 24; ratio, unknown for mean 0",
    "mfi": "14 rows of (h+l+c)/3*v, denominator + 1e-10, row 0 is neither",
    "rsi": "simple means of 7, 21, 35, 70 rises and falls, falls + 1e-10, row 0 counts 0",
    "rsi_ema": "alpha 2/15, not adjusted, row 0 counts 0",
    "calendar": "local hour, weekday; market 9-16, morning 9-12, afternoon 13-16; clip 0-7",
    "lags": "1, 2, 4, 8, 24 rows of r, realized_vol_short, volume_ratio",
    "rolling": "6, 12, 24 rows: mean, std ddof 1, skew and excess kurtosis bias-corrected, "
    "unknown for equal values; c/cw-1",
    "bands": "mean of 20 closes +- 2 std ddof 1, fewer at first; (c-low)/(up-low), 0/0 unknown",
    "macd": "ewm span 12, 26, 9 adjusted from row 0; /c",
    "atr": "mean of 14 true ranges, fewer at first; /c",
    "williams": "14 rows, fewer at first; no range unknown",
}
_INTRADAY: Final = {
    ORIGINAL: "high and low of the whole local day; position 0.5 without range; "
    "gap to the last close of the day before, 0 on the first day",
    MENDED: "high and low of the local day until now; position 0.5 without range; "
    "gap to the last close of the day before, unknown on the first day",
}


@dataclass(frozen=True, slots=True)
class Definition:
    """A version of the columns; a causal one never looks at a later row."""

    version: str
    causal: bool
    description: str


DEFINITIONS: Final = {
    ORIGINAL: Definition(
        ORIGINAL,
        causal=False,
        description="The original definition: intraday highs and lows are those of the whole "
        "day, so a row knows what came later that day.",
    ),
    MENDED: Definition(
        MENDED,
        causal=True,
        description="Intraday highs and lows are those of the day until the row; the overnight "
        "gap of the first day is not known.",
    ),
}


def definition(version: str) -> Definition:
    """Return the version's definition; raises ValueError for a version that is not computed."""
    found = DEFINITIONS.get(version)
    if found is None:
        known = ", ".join(DEFINITIONS)
        raise ValueError(f"Features of version {version!r} are not computed, only {known}.")
    return found


def definition_hash(version: str) -> str:
    """Return 64 hexadecimal digits that change when formulas, windows or columns change.

    The same on every machine. Raises ValueError for a version that is not computed.
    """
    definition(version)
    defined = {
        "version": version,
        "columns": list(COLUMNS),
        "rules": {**_RULES, "intraday": _INTRADAY[version]},
    }
    text = json.dumps(defined, sort_keys=True, ensure_ascii=True, separators=(",", ":"))
    return sha256(text.encode("ascii")).hexdigest()


def version_key(version: str) -> tuple[int, ...]:
    """Return what versions are compared by: "3.10" gives (3, 10), which is after (3, 9).

    Raises ValueError for what is not numbers joined by points, or has leading zeros.
    """
    if not _VERSION.fullmatch(version):
        raise ValueError(f"{version!r} is no version: it takes numbers joined by points.")
    return tuple(int(part) for part in version.split("."))
