"""What the name of a symbol says of itself."""

import re

PAIR = re.compile(r".*[/-](?P<quote>[A-Z0-9]{2,10})(?::.*)?", re.IGNORECASE | re.DOTALL)


def quote_of(symbol: str) -> str:
    """Return the currency a symbol is paid in; empty where its name does not say.

    >>> quote_of("BTC/USD"), quote_of("ETH-btc"), quote_of("BTC/USDT:USDT"), quote_of("AAPL")
    ('USD', 'BTC', 'USDT', '')
    """
    found = PAIR.fullmatch(symbol)
    return found["quote"].upper() if found else ""
