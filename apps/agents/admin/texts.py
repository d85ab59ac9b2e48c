"""What a model was asked and what it answered, laid out for reading: folded, cut, as text."""

from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from apps.agents.admin.passages import (
    LONGEST_PIECE,
    Block,
    Range,
    Section,
    about,
    merged,
    sections,
)
from apps.shared import display

# The texts of a call, in the order in which they are read.
TEXTS = ("answer", "prompt")
# What a page shows of one text; a browser is slow with a megabyte of it.
MOST_SHOWN = 40_000
# A text of no more characters needs no folding.
SHORT = 4_000
# A longer section stays folded also where something in it is marked: links lead into it.
LONG = 12_000
# So many marked stretches behind the cut are shown.
MOST_BEHIND = 5
OPEN = format_html('<details class="b-fold b-read" {}>', "open")
FOLDED = format_html('<details class="{}">', "b-fold b-read")


class Reading:
    """One text of a call for a page: its sections folded, what is about a coin marked.

    ``name`` tells apart the texts of one page; ``piece`` is a stretch that is marked wherever it
    stands (a broken piece); ``whole_url`` leads to all of the text.
    """

    def __init__(
        self,
        name: str,
        text: str,
        *,
        coin: str = "",
        coins: Collection[str] = (),
        piece: str = "",
        whole_url: str = "",
    ) -> None:
        self.name = name
        self.text = text
        self.coin = coin
        self.coins = coins
        self.piece = piece
        self.whole_url = whole_url
        # The marked stretches that have their anchor: one may go over several blocks.
        self.anchored: set[int] = set()

    @property
    def title(self) -> str:
        return self.name.capitalize()

    @property
    def shown(self) -> str:
        """Return what the page shows: the beginning, up to the end of a line where one is near."""
        if len(self.text) <= MOST_SHOWN:
            return self.text
        end = self.text.rfind("\n", MOST_SHOWN - 500, MOST_SHOWN)
        return self.text[: end if end > 0 else MOST_SHOWN]

    @property
    def is_cut(self) -> bool:
        return len(self.text) > MOST_SHOWN

    @property
    def length(self) -> str:
        return f"{len(self.text):,} characters"

    @property
    def shown_length(self) -> str:
        return f"{len(self.shown):,}"

    @cached_property
    def own(self) -> list[Range]:
        """Return the stretches that are marked."""
        found = about(self.text, self.coin, self.coins)
        at = self.text.find(self.piece) if self.piece else -1
        if at >= 0:
            found.append(Range(at, at + min(len(self.piece), LONGEST_PIECE)))
        return merged(found)

    @property
    def jumps(self) -> list[dict[str, str | int]]:
        """Return where the marked stretches stand in the page."""
        reachable = self.seen + self.behind
        return [{"number": n, "id": self.anchor(n)} for n, _ in enumerate(reachable, start=1)]

    @cached_property
    def seen(self) -> list[Range]:
        end = len(self.shown)
        return [Range(each.start, min(each.end, end)) for each in self.own if each.start < end]

    @cached_property
    def behind(self) -> list[Range]:
        """Return marked stretches that stand behind the cut."""
        end = len(self.shown)
        return [each for each in self.own if each.start >= end][:MOST_BEHIND]

    def anchor(self, number: int) -> str:
        return f"{self.name}-own-{number}"

    @property
    def html(self) -> SafeString:
        """Return the sections, each as something to fold."""
        self.anchored.clear()
        found = sections(self.shown)
        parts = [self.section(each, alone=len(found) == 1) for each in found]
        for number, each in enumerate(self.behind, start=len(self.seen) + 1):
            title = f"Further on, at character {each.start + 1:,}"
            words = self.marked(self.text[each.start : each.end], number)
            parts.append(fold(title, each.end - each.start, True, prose(words)))
        return join(parts)

    def section(self, section: Section, *, alone: bool) -> SafeString:
        own = any(each.start < section.end and each.end > section.start for each in self.seen)
        length = section.end - section.start
        is_open = length <= LONG and (own or alone or len(self.text) <= SHORT)
        blocks = [self.block(each) for each in section.blocks]
        body = join(blocks) if blocks else format_html('<p class="b-note">{}</p>', "Nothing.")
        if not section.title and is_open:
            return body
        return fold(section.title or "All of it", length, is_open, body)

    def block(self, block: Block) -> SafeString:
        """Return prose or code, with what is about the coin marked in it."""
        start, end = self.stripped(block)
        parts, place = [], start
        for number, each in enumerate(self.seen, start=1):
            low, high = max(each.start, start), min(each.end, end)
            if low >= high:
                continue
            parts.append(escaped(self.shown[place:low]))
            parts.append(self.marked(self.shown[low:high], number))
            place = high
        parts.append(escaped(self.shown[place:end]))
        return code(join(parts)) if block.is_code else prose(join(parts))

    def stripped(self, block: Block) -> Range:
        """Return a block without the empty lines around it."""
        text = self.shown[block.start : block.end]
        lead = len(text) - len(text.lstrip("\n\r"))
        return Range(block.start + lead, block.start + len(text.rstrip()))

    def marked(self, words: str, number: int) -> SafeString:
        """Return a part of a marked stretch; the first one is what a link leads to."""
        if number not in self.anchored:
            self.anchored.add(number)
            return format_html(
                '<mark class="b-own" id="{}">{}</mark>', self.anchor(number), escaped(words)
            )
        return format_html('<mark class="b-own">{}</mark>', escaped(words))


def text_url(call_id: Any, name: str) -> str:
    """Return where a text of a call stands as plain text."""
    return reverse("admin:agents_llmcall_text", args=[call_id, name])


def escaped(words: str) -> SafeString:
    return format_html("{}", display.visible(words))


def join(parts: Sequence[SafeString]) -> SafeString:
    return format_html_join("", "{}", ((each,) for each in parts))


def prose(words: SafeString) -> SafeString:
    return format_html('<div class="b-prose">{}</div>', words)


def code(words: SafeString) -> SafeString:
    # A browser drops a line break that a block begins with.
    return format_html('<pre class="b-raw b-code">\n{}</pre>', words)


def fold(title: str, length: int, is_open: bool, body: SafeString) -> SafeString:
    """Return a section below its title, which says how long it is."""
    return format_html(
        '{}<summary>{} <span class="b-quiet b-num">{}</span></summary>{}</details>',
        OPEN if is_open else FOLDED,
        display.visible(title),
        f"{length:,} characters",
        body,
    )
