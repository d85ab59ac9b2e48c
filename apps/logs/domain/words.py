"""How a search for words is asked: the same cut into words as the index makes."""

# What stands between words; the index turns these into spaces as well (migration 0001).
SEPARATORS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~"
_SPACES = str.maketrans(SEPARATORS, " " * len(SEPARATORS))
MOST_WORDS = 20


def words_of(text: str) -> list[str]:
    """Return the words of a text.

    >>> words_of("BTC/USDT filled, 12.5")
    ['BTC', 'USDT', 'filled', '12', '5']
    """
    return text.replace("\0", " ").translate(_SPACES).split()[:MOST_WORDS]


def query_of(text: str) -> str:
    """Return the query for rows that hold all words, each at least as a beginning, or "".

    The whole word is named beside its beginning: only of that one the planner knows how
    frequent it is.

    >>> query_of("time-out BTC")
    "('time' | 'time':*) & ('out' | 'out':*) & ('BTC' | 'BTC':*)"
    """
    return " & ".join(f"('{word}' | '{word}':*)" for word in words_of(text))
