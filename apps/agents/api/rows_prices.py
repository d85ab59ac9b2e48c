"""What is told of the prices of models."""

from decimal import Decimal
from typing import Annotated

from apps.shared.api.rows import ZERO, Moment, Row, number, text
from apps.shared.api.values import NumberCheck
from apps.shared.fields import PRICE_PLACES

# A million tokens of the dearest models cost hundreds of dollars. The bound keeps the cost of any
# number of tokens within its column.
LARGEST_PRICE = Decimal(1_000_000)
WORDS = r"(?:\S+(?: \S+)*)?"

PerMillion = Annotated[
    Decimal,
    number(
        NumberCheck(minimum=ZERO, maximum=LARGEST_PRICE, places=PRICE_PLACES),
        "US dollars for a million tokens: 0 to 1,000,000, at most 18 digits behind the point.",
    ),
]


class PriceRow(Row):
    """What a million tokens of a model cost, from a moment on until its next price."""

    provider: Annotated[
        str, text(50, pattern=WORDS, description="As calls name it; upper and lower case are one.")
    ]
    model: Annotated[
        str,
        text(
            100,
            minimum=1,
            pattern=WORDS,
            description="As calls name it; upper and lower case are one.",
        ),
    ]
    valid_from: Moment
    input_per_million: PerMillion
    output_per_million: PerMillion
