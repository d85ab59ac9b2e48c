"""Where things stand in a prompt or an answer: its sections, its code, what is about a coin."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple

MOST_SECTIONS, MOST_BLOCKS = 80, 200
# Pieces about a coin: how many are looked for in one way, and how long one may be.
MOST_PIECES, LONGEST_PIECE = 20, 4_000
# A bracket that is never closed is looked for to the end of the text: so many times.
MOST_TRIES = 50
UNTITLED = "Before any heading"

# The two sections of the answers that agents are asked for, however they are dressed up.
NAMED = r"[^\w\n]{0,12}(?P<named>CHAIN[_ ]OF[_ ]THOUGHT|TRADING[_ ]DECISIONS)[^\w\n]{0,12}"
HEADING = re.compile(rf"^(?:{NAMED}|#{{1,6}}[ \t]+(?P<title>[^\n]{{1,200}}))$", re.M | re.I)
FENCE = re.compile(r"^[ \t]{0,3}(`{3,}|~{3,})[^\n`]{0,40}$", re.M)
BRACKET = re.compile(r"^[ \t]{0,3}(?=[{\[])", re.M)
TOKENS = re.compile(r'\\.|["{}\[\]]', re.S)


class Range(NamedTuple):
    """A stretch of a text: from (included) to (excluded)."""

    start: int
    end: int


class Block(NamedTuple):
    """A stretch that is code, or prose."""

    start: int
    end: int
    is_code: bool


class Section(NamedTuple):
    """A heading and the blocks below it; ``start`` is where its heading begins."""

    title: str
    start: int
    end: int
    blocks: Sequence[Block]


def balanced(text: str, start: int, end: int) -> int:
    """Return where the JSON object or list that begins at ``start`` ends; 0: not before ``end``."""
    depth, quoted = 0, False
    for match in TOKENS.finditer(text, start, end):
        token = match[0]
        if token == '"':
            quoted = not quoted
        elif quoted or token[0] == "\\":
            continue
        else:
            depth += 1 if token in "{[" else -1
            if depth == 0:
                return match.end()
    return 0


def fences(text: str) -> Iterator[Range]:
    """Yield each fenced block, its fences included; one that is never closed goes to the end."""
    opened = None
    for match in FENCE.finditer(text):
        if opened is None:
            opened = match
        elif match[1].startswith(opened[1]):
            yield Range(opened.start(), match.end())
            opened = None
    if opened is not None:
        yield Range(opened.start(), len(text))


def sections(text: str) -> list[Section]:
    """Return a text by its headings; a heading inside of code is none."""
    fenced = list(fences(text))
    heads: list[re.Match[str]] = []
    for match in HEADING.finditer(text):
        if len(heads) == MOST_SECTIONS:
            break
        if not any(each.start <= match.start() < each.end for each in fenced):
            heads.append(match)
    tries = MOST_TRIES
    found = []
    edges = [match.start() for match in heads] + [len(text)]
    if edges[0]:
        blocks, tries = blocks_of(text, Range(0, edges[0]), fenced, tries)
        found.append(Section(UNTITLED if heads else "", 0, edges[0], blocks))
    for match, end in zip(heads, edges[1:], strict=True):
        title = match["title"] or match["named"].upper().replace(" ", "_")
        blocks, tries = blocks_of(text, Range(match.end(), end), fenced, tries)
        found.append(Section(title.strip(), match.start(), end, blocks))
    return found


def blocks_of(
    text: str, within: Range, fenced: Sequence[Range], tries: int
) -> tuple[list[Block], int]:
    """Return code and prose of a stretch in order, and how many tries for brackets are left."""
    code = [each for each in fenced if within.start <= each.start < within.end]
    place = within.start
    while tries and (match := BRACKET.search(text, place, within.end)):
        inside = next((each for each in code if each.start <= match.end() < each.end), None)
        if inside is not None:
            place = inside.end
            continue
        tries -= 1
        end = balanced(text, match.end(), within.end)
        if end:
            code.append(Range(match.start(), end))
        place = max(end, match.end() + 1)
    blocks, place = [], within.start
    for each in sorted(code)[:MOST_BLOCKS]:
        if each.start < place:
            continue
        blocks.append(Block(place, each.start, is_code=False))
        blocks.append(Block(each.start, each.end, is_code=True))
        place = each.end
    blocks.append(Block(place, within.end, is_code=False))
    return [each for each in blocks if text[each.start : each.end].strip()], tries


def about(text: str, coin: str, coins: Collection[str]) -> list[Range]:
    """Return the stretches of a text that speak of a coin, in order, none over another.

    They are its object in JSON, and what stands below a line that begins with its name, up to
    the line of another one of ``coins``, a heading, or two empty lines.
    """
    if not coin:
        return []
    found = []
    key = re.compile(rf'"{re.escape(coin)}"\s*:\s*(?=[{{\[])', re.I)
    for match in islice(key.finditer(text), MOST_PIECES):
        limit = min(match.start() + LONGEST_PIECE, len(text))
        found.append(Range(match.start(), balanced(text, match.end(), limit) or limit))
    others = "|".join(re.escape(each) for each in sorted({*coins} - {coin}) if each)
    line = r"^[^\w\n\"'{{}}\[\]]{{0,8}}(?:ALL[ _])?(?:{})(?!\w)"
    other = rf"{line.format(others)}|" if others else ""
    stop = re.compile(rf"{other}{HEADING.pattern}|^[ \t]*\n[ \t]*$", re.M | re.I)
    own = re.compile(line.format(re.escape(coin)), re.M | re.I)
    place = 0
    while len(found) < 2 * MOST_PIECES and (head := own.search(text, place)):
        limit = min(head.start() + LONGEST_PIECE, len(text))
        ended = stop.search(text, head.end(), limit)
        end = max(ended.start() if ended else limit, head.end())
        found.append(Range(head.start(), end))
        place = max(end, head.end() + 1)
    return merged(trimmed(text, each) for each in found)


def trimmed(text: str, each: Range) -> Range:
    """Return a stretch without the white space at its end."""
    return Range(each.start, each.start + len(text[each.start : each.end].rstrip()))


def merged(found: Iterable[Range]) -> list[Range]:
    """Return stretches in order, those that touch or overlap made one."""
    joined: list[Range] = []
    for each in sorted(found):
        if joined and each.start <= joined[-1].end:
            joined[-1] = Range(joined[-1].start, max(joined[-1].end, each.end))
        else:
            joined.append(each)
    return joined
