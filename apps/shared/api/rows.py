"""What a program may send: the base of all request bodies, and the types their fields have."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from django.db.models import TextChoices
from msgspec import Meta

from apps.shared.api.values import (
    ChoiceCheck,
    DocumentCheck,
    EvidenceCheck,
    KnownCheck,
    NumberCheck,
    RealCheck,
    TextCheck,
    TimeCheck,
    is_address,
)
from apps.shared.fields import PRICE_LIMIT, PRICE_PLACES, RATIO_LIMIT, RATIO_PLACES

ZERO, ONE = Decimal(0), Decimal(1)
EVIDENCE_LENGTH = 1_000_000


class Row(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, gc=False):
    """One thing a program sends. Subclasses declare fields with the types below.

    A field without a default must be sent; ``X | None = None`` may be left out or null.
    """


def number(check: NumberCheck, description: str) -> Meta:
    """Return the metadata of an exact number: how it is checked, what the documentation says."""
    return Meta(
        description=description,
        extra={"check": check},
        extra_json_schema={
            "type": None,
            "format": None,
            "anyOf": [{"type": "string", "format": "decimal"}, {"type": "number"}],
        },
    )


def text(
    maximum: int,
    *,
    minimum: int = 0,
    pattern: str = "",
    prose: bool = False,
    description: str = "",
) -> Meta:
    """Return the metadata of a text: its length, its pattern, what its edges may hold."""
    return Meta(
        min_length=minimum,
        max_length=maximum,
        description=description or None,
        extra={"check": TextCheck(minimum=minimum, maximum=maximum, pattern=pattern, prose=prose)},
    )


def choice(vocabulary: type[TextChoices], description: str = "") -> Meta:
    """Return the metadata of a word of a closed vocabulary."""
    return Meta(
        description=description or None,
        extra={"check": ChoiceCheck(tuple(vocabulary.values))},
        extra_json_schema={"enum": list(vocabulary.values)},
    )


Price = Annotated[
    Decimal,
    number(
        NumberCheck(above=ZERO, below=PRICE_LIMIT, places=PRICE_PLACES),
        "Greater than 0; at most 20 digits before the point and 18 behind it.",
    ),
]
Amount = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, below=PRICE_LIMIT, places=PRICE_PLACES),
        "0 or greater; at most 20 digits before the point and 18 behind it.",
    ),
]
Signed = Annotated[
    Decimal,
    number(
        NumberCheck(above=-PRICE_LIMIT, below=PRICE_LIMIT, places=PRICE_PLACES),
        "At most 20 digits before the point and 18 behind it.",
    ),
]
Ratio = Annotated[
    Decimal,
    number(
        NumberCheck(above=-RATIO_LIMIT, below=RATIO_LIMIT, places=RATIO_PLACES),
        "At most 12 digits before the point and 8 behind it.",
    ),
]
PositiveRatio = Annotated[
    Decimal,
    number(
        NumberCheck(above=ZERO, below=RATIO_LIMIT, places=RATIO_PLACES),
        "Greater than 0; at most 12 digits before the point and 8 behind it.",
    ),
]
Probability = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, maximum=ONE, places=RATIO_PLACES),
        "Between 0 and 1; at most 8 digits behind the point.",
    ),
]

Real = Annotated[
    float,
    Meta(
        description="A finite number in double precision.",
        extra={"check": RealCheck()},
        extra_json_schema={
            "type": None,
            "anyOf": [{"type": "number"}, {"type": "string", "format": "decimal"}],
        },
    ),
]

Symbol = Annotated[
    str,
    text(
        50,
        minimum=1,
        pattern=r"\S+(?: \S+)*",
        description="What is traded, such as BTC/USDT.",
    ),
]
Key = Annotated[
    str,
    text(255, minimum=1, pattern=r"\S+(?: \S+)*", description="Chosen by the client."),
]
Word = Annotated[str, text(50, pattern=r"(?:\S+(?: \S+)*)?")]
Name = Annotated[str, text(255)]
Text = Annotated[str, text(100_000, prose=True)]

Address = Annotated[
    str,
    Meta(
        description="An IPv4 or IPv6 address.",
        extra={
            "check": KnownCheck(
                knows=is_address,
                code="not_an_address",
                message="Must be an IPv4 or IPv6 address.",
            )
        },
    ),
]
Moment = Annotated[
    datetime,
    Meta(
        tz=True,
        description="RFC 3339 with an offset; kept in UTC.",
        extra={"check": TimeCheck()},
    ),
]
JsonObject = Annotated[
    dict[str, Any],
    Meta(description="Any JSON object.", extra={"check": DocumentCheck()}),
]

Evidence = Annotated[
    str,
    Meta(
        max_length=EVIDENCE_LENGTH,
        description="Kept whatever it holds: NUL and halves of surrogate pairs become U+FFFD.",
        extra={"check": EvidenceCheck(maximum=EVIDENCE_LENGTH)},
    ),
]
EvidenceObject = Annotated[
    dict[str, Any],
    Meta(
        description="Any JSON object; what its texts cannot hold is replaced by U+FFFD.",
        extra={"check": DocumentCheck(evidence=True)},
    ),
]
