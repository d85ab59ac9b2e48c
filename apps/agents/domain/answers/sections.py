"""Which part of an answer a place in it belongs to, and the decisions that are told in lines."""

import re
from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Final, NamedTuple

from apps.agents.domain.answers.loose import Block
from apps.agents.domain.answers.values import (
    TICKER,
    UnreadableError,
    action_of,
    coin_of,
    confidence_of,
)

THOUGHT, DECISIONS = "thought", "decisions"
MARKS: Final = r"[ \t>*#_`=~<\[(-]{0,12}"
WORDS: Final = r"(?P<title>chain[ _-]?of[ _-]?thoughts?|trading[ _-]?decisions?)"
# On a line of its own a heading may be dressed in any way; within a line it is in capitals.
OWN_LINE: Final = re.compile(
    rf"^{MARKS}(?:\d{{1,2}}[.)] ?)?{MARKS}{WORDS}(?=[ \t*_`=~>:：)\]-]{{0,12}}(?:$|[{{\[`\r]))",
    re.IGNORECASE | re.MULTILINE,
)
IN_LINE: Final = re.compile(r"\b(?P<title>CHAIN_OF_THOUGHT|TRADING_DECISIONS)\b")
THINKING: Final = re.compile(r"</?(?:think|thinking|thought|reasoning)>", re.IGNORECASE)
THINKING_LINE: Final = re.compile(
    rf"^[ \t]{{0,12}}(?={THINKING.pattern})|{THINKING.pattern}(?=[ \t\r]{{0,12}}$)",
    re.IGNORECASE | re.MULTILINE,
)
FENCE: Final = re.compile(r"```")
FENCE_LINE: Final = re.compile(r"^[ \t]{0,12}```", re.MULTILINE)
# What stands before a brace and names what is in it, through the line of a fence.
LABEL: Final = re.compile(
    r"(?P<word>[A-Za-z0-9$][\w$/:.-]{0,30}?)[\"'*`_)\] \t]{0,6}[:=：]?[*_ \t]{0,4}"
    r"(?:\n[ \t]{0,8})?(?:\n?```[a-z0-9]{0,8}[ \t]{0,8}\n?[ \t]{0,8})?$"
)
LONGEST_LABEL: Final = 80

LONGEST_LINE: Final = 300
EDGES: Final = " \t\r*_#>`|•·\ufeff\x00-–—"
# "ETH: HOLD (65%) - QUANTITY: 1.26"
TOLD: Final = re.compile(
    r"(?P<coin>[\w$/:-]{1,30}?)[*_`]{0,3}\s{0,4}(?:[:=|：–—]|->|=>|→|\s-)\s{0,4}[*_`]{0,3}"
    r"(?P<action>[A-Za-z][A-Za-z_ ]{1,24}?)[*_`]{0,3}\s{0,4}"
    r"(?P<rest>$|[(\[,;|@:–—-].*|[\d.,]{1,8}\s?%.*)"
)
SHARE: Final = re.compile(
    r"\W{0,4}(?:confidence\W{0,3})?([\d.,]{1,8}\s?%|0?\.\d{1,6}|1(?:\.0{1,6})?)(?!\w)\W{0,3}", re.I
)


class Told(NamedTuple):
    """What lines of text say of one coin; an action of "" could not be read."""

    coin: str
    action: str
    confidence: Decimal | None
    raw: str
    start: int
    is_listed: bool


class Sections:
    """The parts of one answer: what was thought aloud, the two sections, what is fenced."""

    def __init__(self, text: str) -> None:
        self.text = text
        own = {found.start("title"): found for found in OWN_LINE.finditer(text)}
        self._lines = sorted(own)
        fences = [found.start() for found in FENCE_LINE.finditer(text)]
        self._thinking = [found.start() for found in THINKING.finditer(text)]
        thinking = [found.start() for found in THINKING_LINE.finditer(text)]
        # JSON has no line breaks in its strings, so none of these can stand in the middle of it.
        heads = [found.start() for found in own.values()]
        self.stops: Sequence[int] = sorted({*heads, *fences, *thinking})
        self._fences = [found.start() for found in FENCE.finditer(text)]
        self._heads: list[int] = []
        self._titles: list[str] = []

    def place_headings(self, blocks: Sequence[Block]) -> None:
        """Find the headings and what was thought aloud, of which none stands within a block."""
        starts, ends = [block.start for block in blocks], [block.end for block in blocks]

        def is_free(place: int) -> bool:
            before = bisect_right(starts, place) - 1
            return before < 0 or ends[before] <= place

        self._thinking = list(filter(is_free, self._thinking))
        places = {*self._lines, *(found.start() for found in IN_LINE.finditer(self.text))}
        self._heads = sorted(filter(is_free, places))
        self._titles = [
            THOUGHT if self.text[place : place + 5].lower() == "chain" else DECISIONS
            for place in self._heads
        ]

    def rank(self, place: int) -> int:
        """Return how much what stands at a place counts: 0 before 1, and the rest in need.

        0 is below CHAIN_OF_THOUGHT, or fenced where there are no sections; 1 is below
        TRADING_DECISIONS, or bare; 2 is before the sections; 3 is only thought aloud.
        """
        if self.is_thinking(place):
            return 3
        if self._heads:
            before = bisect_right(self._heads, place) - 1
            if before < 0:
                return 2
            return 0 if self._titles[before] == THOUGHT else 1
        return 0 if bisect_right(self._fences, place) % 2 else 1

    def is_thinking(self, place: int) -> bool:
        """Return whether a place is in what a model thought aloud before its answer."""
        after = bisect_right(self._thinking, place)
        return after < len(self._thinking) and self.text[self._thinking[after] + 1] == "/"

    def label(self, place: int) -> str:
        """Return the word before a place, which may name what stands there."""
        found = LABEL.search(self.text[max(0, place - LONGEST_LABEL) : place])
        return found["word"] if found else ""

    def thought(self, first: int) -> str:
        """Return what stands before the first heading, or else before ``first``."""
        end = min([first, *self._heads[:1]])
        return self.text[:end].rstrip(" \t\r\n*#_`>=").removesuffix("```json").strip()

    def listed(self, coins: Collection[str]) -> Iterator[Told]:
        """Yield what is told in lines below TRADING_DECISIONS; without sections, anywhere."""
        if not self._heads:
            yield from told_in(self.text, 0, coins, is_listed=False)
        for index, (start, title) in enumerate(zip(self._heads, self._titles, strict=True)):
            if title == DECISIONS:
                end = self._heads[index + 1] if index + 1 < len(self._heads) else len(self.text)
                yield from told_in(self.text[start:end], start, coins, is_listed=True)


def told_in(text: str, start: int, coins: Collection[str], *, is_listed: bool) -> Iterator[Told]:
    """Yield the decisions of both forms: "ETH: HOLD (65%)", or a line each for coin and action.

    Outside a list a line with a coin alone must be followed by an action to mean anything.
    """
    at = start
    waiting: tuple[str, int] | None = None  # a coin, and where its line begins
    done: Told | None = None  # a decision whose confidence may follow
    for line in text.split("\n"):
        here, at = at, at + len(line) + 1
        plain = line.strip(EDGES) if len(line) <= LONGEST_LINE else ""
        if not plain:
            continue
        if done and (share := SHARE.fullmatch(plain)):
            if done.confidence is None:
                done = done._replace(confidence=_confidence(share), raw=f"{done.raw}\n{plain}")
            continue
        found: Told | None = None
        if coin := coin_of(plain.rstrip(":："), coins):
            waiting = (coin, here)
        elif waiting:
            (coin, began), waiting = waiting, None
            if (action := action_of(plain)) or is_listed:
                found = Told(coin, action, None, f"{coin}\n{plain}", began, is_listed)
        else:
            found = _told(plain, here, coins, is_listed=is_listed)
        if found or waiting:
            if done:
                yield done
            done = found
    if done:
        yield done


def _told(line: str, start: int, coins: Collection[str], *, is_listed: bool) -> Told | None:
    """Return what a line says by itself; of a coin that is not known only where it is listed."""
    told = TOLD.match(line)
    action = action_of(told["action"]) if told else ""
    if not told or not action:
        return None
    coin = coin_of(told["coin"], coins)
    if not coin and is_listed and TICKER.fullmatch(told["coin"]):
        coin = told["coin"]
    if not coin:
        return None
    return Told(coin, action, _confidence(SHARE.match(told["rest"])), line, start, is_listed)


def _confidence(found: re.Match[str] | None) -> Decimal | None:
    try:
        return confidence_of(found[1]) if found else None
    except UnreadableError:
        return None
