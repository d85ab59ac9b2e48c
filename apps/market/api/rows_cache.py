"""What programs put into the cache of answers, and what they have thrown away."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from apps.market.choices import InvalidationKind, ResponseFormat
from apps.market.domain.cache import LARGEST_PAYLOAD
from apps.shared.api.rows import JsonObject, Moment, Row, choice, text

WORDS = r"\S+(?: \S+)*"
LONGEST_ANSWER = LARGEST_PAYLOAD
MOST_SECONDS = 10 * 366 * 86_400
# These stand in addresses beside the keys.
VERBS = r"(?!(?:invalidate|lookup)\Z)"

CacheKey = Annotated[
    str,
    text(
        255,
        minimum=1,
        pattern=VERBS + WORDS,
        description="What was asked, such as coingecko:fetch:bitcoin:3mo.",
    ),
]
Seconds = Annotated[int, Meta(ge=1, le=MOST_SECONDS)]


class CacheEntryRow(Row):
    """An answer of a source; how long it is fresh is told once, or by the rule of its type.

    ``response_data`` is the text of the answer: JSON, or in another format whatever it is.
    """

    cache_key: CacheKey
    data_type: Annotated[str, text(50, minimum=1, pattern=WORDS, description="Such as ohlcv.")]
    api_source: Annotated[str, text(50, minimum=1, pattern=WORDS, description="Who answered.")]
    response_data: Annotated[str, text(LONGEST_ANSWER, prose=True)]
    response_format: Annotated[
        str, choice(ResponseFormat, "Only JSON is ever read; the others are kept as text.")
    ] = ResponseFormat.JSON.value
    ttl_seconds: Seconds | None = None
    expires_at: Moment | None = None
    metadata: JsonObject = {}


class CacheLookupQuery(Row):
    """Which answer is asked for, and whether an old one will do."""

    cache_key: CacheKey
    stale: bool = False


class CacheLookupAnswer(msgspec.Struct):
    """What is cached; only ``json`` may be read, other formats are the text of who sent it."""

    state: str
    cache_key: str
    data_type: str
    api_source: str
    response_data: str
    response_format: str
    cached_at: Any
    expires_at: Any


class CacheRuleRow(Row):
    """How long answers of one type are fresh, and how long they may stand in after that."""

    data_type: Annotated[str, text(50, minimum=1, pattern=WORDS)]
    ttl_seconds: Seconds
    stale_seconds: Annotated[int, Meta(ge=0, le=MOST_SECONDS)] = 0
    description: Annotated[str, text(255)] = ""


class CacheInvalidationRow(Row):
    """What is to be thrown away; with ``preview`` it is only counted."""

    kind: Annotated[str, choice(InvalidationKind)]
    pattern: Annotated[
        str,
        text(
            255,
            description="A part of the key (* stands for anything, all else for itself), the type,"
            " the source or the key. Empty for all.",
        ),
    ] = ""
    reason: Annotated[str, text(255, minimum=1)] = "Asked for by a program"
    preview: bool = False


class CacheInvalidationAnswer(msgspec.Struct):
    """What was thrown away; of a preview what would be, how large it is, and the first keys."""

    id: int | None
    kind: str
    pattern: str
    reason: str
    preview: bool
    entries_affected: int
    invalidated_at: Any = None
    invalidated_by: str = ""
    size_bytes: int | None = None
    first_keys: list[str] = []
