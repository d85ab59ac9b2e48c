"""Objects and arrays read out of any text, however they are damaged, in time that grows with it.

Of a text that is JSON this reads exactly what it says. Of any other it reads what a careful human
would: quotes of every kind or none, commas and braces too many or too few, comments, line breaks
in strings, a name that stands twice (both are kept), an end in the middle (said so). Nothing is
run, and nothing is made up.

Why not json-repair: it takes the 1 of a 10 that was cut off for a number and does not say so, keeps
one of two values under one name, rounds decimals to floats, and needs seconds for 16 kB of ``{"``.
"""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

DEEPEST: Final = 64
# How many characters are looked at for each one of a text, and in all, where each step counts as
# ten: many times what any JSON needs, up to half a megabyte of it. What is tangled on purpose to
# take long comes to this end.
LOOKS: Final = 100
MOST_LOOKS: Final = 1_500_000
STEP: Final = 10

BLANKS: Final = "\\s\ufeff\u200b\x00"
SPACE: Final = re.compile(f"[{BLANKS}]*+")
COMMAS: Final = ",，;"
COLONS: Final = ":：="
# What ends a string, by what begins it. In JSON only a straight quote ends one.
CLOSERS: Final = {'"': '"', "'": "'", "`": "`", "“": '”“"', "„": '”“"', "‘": "’‘'"}
BODIES: Final = {q: re.compile(rf"(?:[^{c}\\]++|\\.)*+", re.DOTALL) for q, c in CLOSERS.items()}
LINES: Final = {q: re.compile(rf"{q}(?:[^{c}\\\n]++|\\.)*+") for q, c in CLOSERS.items()}
QUOTES: Final = "\"'`“”„‘’"
OPENS_NAME: Final = {
    q: re.compile(rf"{q}[\w$./ -]{{1,60}}[{c}][{BLANKS}]*+[{COLONS}]") for q, c in CLOSERS.items()
}
BARE_NAME: Final = re.compile(rf"([\w$][\w$./-]{{0,60}})[{QUOTES}]?+[{BLANKS}]*+(?=[{COLONS}])")
UNENDED_NAME: Final = re.compile(rf"[{QUOTES}]([\w$./ -]{{1,60}}?)[{BLANKS}]*+(?=[{COLONS}])")
BARE: Final = re.compile(rf"[^{COMMAS}}}\]\n\"“”{{\[]*+")
GROUPED: Final = re.compile(r"[$€]?[+-]?\d{1,3}(?:,\d{3})++(?:\.\d++)?(?!\w|[.,]\d)")
GARBAGE: Final = re.compile(
    rf"(?:\w++|[^\w{COMMAS}{{}}\[\]{QUOTES}])[^\w{COMMAS}{{}}\[\]{QUOTES}]*+"
)
ESCAPE: Final = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.))", re.DOTALL)
ESCAPED: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
PAIR: Final = re.compile("[\ud800-\udbff][\udc00-\udfff]")
# Where an object, or an array of them, may begin; a brace in a sentence is none.
BEGIN: Final = re.compile(
    rf"\{{(?=[{BLANKS}]*+(?:[{QUOTES}}}#/]|[\w$][\w$./-]{{0,60}}[{BLANKS}]*+[{COLONS}]))"
    rf"|\[(?=[{BLANKS}]*+\{{)"
)


class Bare(str):
    """A value that stands without quotes: a number, or a word."""

    __slots__ = ()


@dataclass(slots=True, eq=False)
class Member:
    """A value in its block; in an array, and where no name stands, the name is empty.

    A value of None is missing. What is not whole ends in the middle.
    """

    name: str
    start: int
    value: "Block | str | None" = None
    is_whole: bool = True


@dataclass(slots=True, eq=False)
class Block:
    """An object or an array, as far as it could be read: ``text[start:end]``."""

    is_array: bool
    start: int
    end: int = 0
    members: list[Member] = field(default_factory=list)
    is_whole: bool = True


class _TangledError(Exception):
    """More has been looked at than an answer can be worth."""


class Reader:
    """The blocks of one text.

    No block goes beyond the next of ``stops`` (ascending places in the text). Under a name that
    is a heading the opening brace may be missing. ``spent`` is how much was looked at; what
    stands between blocks is free. At what is ``allowed`` reading ends, and what is deeper than
    ``DEEPEST`` is left out: then ``is_tangled`` is set.
    """

    def __init__(
        self,
        text: str,
        *,
        stops: Sequence[int] = (),
        is_heading: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.text, self.stops, self.is_heading = text, stops, is_heading
        self.at, self.limit = 0, len(text)
        self.spent, self.is_tangled = 0, False
        self.allowed = min(MOST_LOOKS, LOOKS * (len(text) + LOOKS))

    def blocks(self) -> Iterator[Block]:
        """Yield the outermost blocks in their order."""
        while found := BEGIN.search(self.text, self.at):
            self.at = found.start()
            after = bisect_right(self.stops, self.at)
            self.limit = self.stops[after] if after < len(self.stops) else len(self.text)
            block = Block(is_array=self.text[self.at] == "[", start=self.at)
            try:
                self._spend(0)
                self._fill(block, 1, in_array=False)
            except _TangledError:
                block.is_whole, block.end, self.is_tangled = False, self.at, True
                yield block
                return
            yield block

    # --- Blocks ---

    def _fill(self, block: Block, depth: int, *, in_array: bool) -> None:
        """Read a block whose bracket stands here."""
        self.at += 1
        self._fill_open(block, depth, in_array=in_array)

    def _fill_open(self, block: Block, depth: int, *, in_array: bool) -> None:
        text = self.text
        while True:
            self._skip()
            char = text[self.at] if self.at < self.limit else ""
            if not char or depth > DEEPEST:
                # Where the text goes on in another section, only a bracket is missing.
                block.is_whole &= bool(not char and self.limit < len(text))
                self.is_tangled |= depth > DEEPEST
                break
            if char in "}]":
                mine = "]" if block.is_array else "}"
                if char == mine:
                    self.at += 1
                    break
                if in_array != block.is_array:
                    break  # It closes the block around this one.
                self._step(1)
                continue
            if block.is_array and self._is_name(char):
                break  # Its closing bracket is missing.
            member = self._name(block)
            if member is None:
                continue
            block.members.append(member)
            self._read(block, member, depth)
        block.end = self.at

    def _name(self, block: Block) -> Member | None:
        """Return a member without its value; None, one step on, where nothing can be one."""
        start, char = self.at, self.text[self.at]
        if block.is_array or char in "{[":
            return Member("", start)
        name = self._quoted_name() if char in CLOSERS else None
        if name is None:
            found = BARE_NAME.match(self.text, start, self.limit)
            if not found:
                rest = GARBAGE.match(self.text, start, self.limit)
                self._step(rest.end() - start if rest else 1)
                return None
            self._step(found.end() - start)
            name = found[1]
        self._skip_blanks()
        if self.at < self.limit and self.text[self.at] in COLONS:
            self._step(2 if self.text.startswith("=>", self.at) else 1)
        elif self.at < self.limit and self.text[self.at] in COMMAS + "}]":
            return None  # A word by itself says nothing.
        return Member(name, start)

    def _quoted_name(self) -> str | None:
        start, quote = self.at, self.text[self.at]
        found = LINES[quote].match(self.text, start, self.limit)
        end = found.end() if found else start
        self._spend(end - start)
        if end < self.limit and self.text[end] in CLOSERS[quote]:
            self._step(end + 1 - start)
            return unescaped(self.text[start + 1 : end])
        if unended := UNENDED_NAME.match(self.text, start, self.limit):
            self._step(unended.end() - start)
            return unended[1]
        return None

    def _read(self, block: Block, member: Member, depth: int) -> None:
        """Read the value that stands here into the member."""
        self._skip()
        char = self.text[self.at] if self.at < self.limit else ""
        if not char:
            member.is_whole = False
        elif char in "{[":
            inner = member.value = Block(is_array=char == "[", start=self.at)
            self._fill(inner, depth + 1, in_array=block.is_array)
        elif self._is_name(char):
            # A name stands where its value should: the brace is missing, or the value.
            if self.is_heading(member.name):
                inner = member.value = Block(is_array=False, start=self.at)
                self._fill_open(inner, depth + 1, in_array=False)
        elif char in CLOSERS:
            member.value, member.is_whole = self._string(in_array=block.is_array)
        elif char not in COMMAS + "}]":
            member.value, member.is_whole = self._bare(in_array=block.is_array)
        # What ends in the middle takes its block with it.
        block.is_whole &= member.is_whole

    def _is_name(self, quote: str) -> bool:
        """Return whether a name in quotes, and its colon, stand here."""
        return quote in CLOSERS and bool(OPENS_NAME[quote].match(self.text, self.at, self.limit))

    # --- Values ---

    def _string(self, *, in_array: bool) -> tuple[str, bool]:
        """Return the string that begins here, and whether it has an end."""
        text, start, quote = self.text, self.at, self.text[self.at]
        at = start + 1
        while True:
            found = BODIES[quote].match(text, at, self.limit)
            end = found.end() if found else at
            self._spend(end + 1 - at)
            if end >= self.limit or text[end] == "\\":
                end = self.limit
                break
            if self._closes(end + 1, in_array=in_array):
                self.at = end + 1
                return unescaped(text[start + 1 : end]), True
            gap = text[max(start + 1, end - 80) : end]
            before = gap.rstrip()
            is_apart = "\n" in gap[len(before) :] or before[-1:] in COMMAS + "{}"
            if is_apart and OPENS_NAME[quote].match(text, end, self.limit):
                break
            at = end + 1
        # It has no end: the next name, or nothing, follows. Then it was one line.
        line = text.find("\n", start, end)
        if line < 0 and end < self.limit:
            line = next((i for i in range(start + 1, end) if text[i] == "}"), end)
        self.at = end if line < 0 else line
        return unescaped(text[start + 1 : self.at].rstrip(" \t\r" + COMMAS)), line >= 0

    def _closes(self, at: int, *, in_array: bool) -> bool:
        """Return whether a quote before this place ends a string, by what comes after it."""
        text, limit = self.text, self.limit
        at, began = self._after_blanks(at), at
        if at >= limit or text[at] in "}]" or "\n" in text[began:at]:
            return True
        if text[at] in COMMAS:
            comma, at = at, self._after_blanks(at + 1)
            if at >= limit or in_array or text[at] in "}]/#" or "\n" in text[comma:at]:
                return True
        elif text[at] not in CLOSERS:
            return text.startswith(("//", "/*"), at)
        if text[at] not in CLOSERS:
            return bool(BARE_NAME.match(text, at, limit))
        found = LINES[text[at]].match(text, at, limit)
        end = found.end() if found else limit
        self._spend(end - at)
        if end >= limit:
            return True  # The text ends in the middle of a name.
        colon = self._after_blanks(end + 1)
        return text[end] != "\n" and colon < limit and text[colon] in COLONS

    def _bare(self, *, in_array: bool) -> tuple[str, bool]:
        """Return what stands without quotes, and whether it cannot go on."""
        text, start = self.text, self.at
        if not in_array and (number := GROUPED.match(text, start, self.limit)):
            self._step(number.end() - start)
            return Bare(number[0]), self.at < len(text)
        while True:
            found = BARE.match(text, self.at, self.limit)
            self._step(found.end() - self.at if found else 0)
            if self.at >= self.limit or text[self.at] not in COMMAS or in_array:
                break
            if self._closes(self.at, in_array=False):
                break
            self._step(1)  # A comma within a sentence.
        value = text[start : self.at].partition("//")[0].partition("#")[0]
        has_quote = self.at < self.limit and text[self.at] in QUOTES
        if has_quote and (self.at == start or self._closes(self.at + 1, in_array=in_array)):
            self._step(1)  # The quote at the other end is missing.
        return Bare(value.strip().rstrip(QUOTES).rstrip()), self.at < len(text)

    # --- Steps ---

    def _spend(self, count: int) -> None:
        self.spent += count + STEP
        if self.spent > self.allowed:
            raise _TangledError

    def _step(self, count: int) -> None:
        self._spend(count)
        self.at += count

    def _after_blanks(self, at: int) -> int:
        found = SPACE.match(self.text, at, self.limit)
        end = found.end() if found else at
        self._spend(end - at)
        return end

    def _skip_blanks(self) -> None:
        self.at = self._after_blanks(self.at)

    def _skip(self) -> None:
        """Go on to what is no blank, comma or comment."""
        text, start = self.text, self.at
        while self.at < self.limit:
            self._skip_blanks()
            if text.startswith(("//", "#"), self.at):
                end = text.find("\n", self.at, self.limit)
            elif text.startswith("/*", self.at):
                end = text.find("*/", self.at, self.limit)
                end += 2 if end >= 0 else 0
            elif self.at < self.limit and text[self.at] in COMMAS:
                end = self.at + 1
            else:
                break
            self.at = self.limit if end < 0 else end
        self._spend(self.at - start)


def unescaped(text: str) -> str:
    r"""Return what the inside of a string means; of an unknown escape, its character."""
    if "\\" not in text:
        return text
    plain = ESCAPE.sub(lambda m: chr(int(m[1], 16)) if m[1] else ESCAPED.get(m[2], m[2]), text)
    return PAIR.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16"), plain)
