"""The decisions in what a model answered, in whatever shape it answered."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from apps.agents.choices import Action
from apps.agents.domain.answers.decisions import (
    LONGEST_RAW,
    Broken,
    Read,
    line_read,
    piece_read,
)
from apps.agents.domain.answers.loose import Reader
from apps.agents.domain.answers.pieces import Piece, chosen, pieces_of
from apps.agents.domain.answers.sections import Sections, Told
from apps.agents.domain.answers.values import coin_of

MOST_DECISIONS: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was read: of ``found`` and ``broken`` at least one holds something.

    ``thought`` is the free text before the decisions.
    """

    thought: str
    found: list[Read]
    broken: list[Broken]


def read_answer(text: str, *, coins: Collection[str]) -> Answer:
    """Return the decisions in an answer, those of ``coins`` and of any other that is named.

    They are looked for in the CHAIN_OF_THOUGHT section, then in TRADING_DECISIONS, then before
    both; without sections in fenced blocks, then anywhere; then in what was thought aloud, and
    at last in lines like "ETH: HOLD (65%)". A later place counts for coins of which no earlier
    one gave a readable decision. Within one place a coin that stands twice is returned twice.

    A decision is an object with a signal, under the name of a coin or naming one, in any wrapper.
    ``size_usd`` is what is told as such, else risk_usd × leverage. What opens nothing has size,
    stop and target 0, and a leverage of at least 1. Numbers are rounded, half to even, to what
    columns keep: 18 places, or 8 for leverage and confidence. A field that is told and cannot be
    read, a signal that is missing, unknown or told in two ways, and an object that is cut off,
    make the piece broken. Lines tell action and confidence alone: they make good what is broken
    where that is enough. Never raises; takes time in proportion to the text. Source: seed 004 and
    the parser of the system it describes.
    """
    known = {coin.upper(): coin for coin in coins}
    answer, has_pieces = _read_text(text, known)
    if not has_pieces and '\\"' in text:
        # An answer within a string of JSON.
        inner, has_pieces = _read_text(text.replace("\\n", "\n").replace('\\"', '"'), known)
        answer = inner if has_pieces else answer
    return answer


def _read_text(text: str, known: Collection[str]) -> tuple[Answer, bool]:
    """Return the answer, and whether anything in it stands for a decision."""
    sections = Sections(text)
    reader = Reader(text, stops=sections.stops, is_heading=lambda name: bool(coin_of(name, known)))
    blocks = list(reader.blocks())
    sections.place_headings(blocks)
    pieces: list[Piece] = []
    starts = [len(text)]
    for block in blocks:
        label = coin_of(sections.label(block.start), known)
        if inside := pieces_of(block, label, known):
            pieces += inside
            starts.append(block.start)
    pieces = chosen(pieces)
    results = _by_rank(pieces[:MOST_DECISIONS], sections, text, known)
    is_found = any(isinstance(result, Read) for result in results)
    told = (one for one in sections.listed(known) if one.is_listed or not is_found)
    listed = list(islice(told, MOST_DECISIONS))
    results = _completed(results, listed)
    message = "" if results else "No decision was found in the answer."
    if reader.is_tangled or len(pieces) > MOST_DECISIONS:
        reason = "is tangled" if reader.is_tangled else f"has over {MOST_DECISIONS} decisions"
        message = f"The answer {reason}: it was not read to its end."
    if message:
        results.append(Broken(coin="", action="", raw=text[:LONGEST_RAW], message=message))
    placed = [replace(result, place=place) for place, result in enumerate(results)]
    starts += [one.start for one in listed]
    answer = Answer(
        thought=sections.thought(min(starts)),
        found=[result for result in placed if isinstance(result, Read)],
        broken=[result for result in placed if isinstance(result, Broken)],
    )
    return answer, bool(pieces or listed)


def _by_rank(
    pieces: Iterable[Piece], sections: Sections, text: str, known: Collection[str]
) -> list[Read | Broken]:
    """Return what the pieces say, of each coin as its best place says it, in their order."""
    ranked = [
        ((sections.rank(one.start), one.is_second), piece_read(one, text, known)) for one in pieces
    ]
    kept: list[tuple[int, Read | Broken]] = []
    settled: set[str] = set()
    for rank in sorted({rank for rank, _ in ranked}):
        if rank >= (2, False) and settled:
            break
        layer = [
            (turn, result)
            for turn, (its, result) in enumerate(ranked)
            if its == rank and result.coin not in settled
        ]
        settled |= {result.coin for _, result in layer if isinstance(result, Read)}
        kept = [
            (turn, result)
            for turn, result in kept
            if isinstance(result, Read) or result.coin not in settled
        ]
        kept += layer
    return [result for _, result in sorted(kept, key=lambda each: each[0])]


def _completed(results: Sequence[Read | Broken], listed: Sequence[Told]) -> list[Read | Broken]:
    """Return the results with what lines tell of the coins that are not read yet."""
    told = {one.coin: one for one in listed}
    read = {result.coin for result in results if isinstance(result, Read)}
    complete: list[Read | Broken] = []
    for result in results:
        line = told.get(result.coin)
        if isinstance(result, Read) or not line or not line.action or result.coin in read:
            complete.append(result)
        elif result.action and result.action != line.action:
            message = f"{result.message} In its line it is {line.action}."
            complete.append(replace(result, message=message))
        elif line.action in (Action.HOLD, Action.CLOSE_POSITION):
            read.add(result.coin)
            complete.append(line_read(line, unreadable=result.raw))
        else:
            # A line names no size and no prices.
            complete.append(replace(result, action=line.action))
    there = {result.coin for result in complete}
    return complete + [line_read(line) for line in listed if line.coin not in there]
