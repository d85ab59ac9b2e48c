"""The pieces of an answer that stand for one decision each, in whatever they are wrapped."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from apps.agents.domain.answers.loose import Block, Member
from apps.agents.domain.answers.values import (
    TICKER,
    action_of,
    coin_of,
    document_of,
    squeezed,
)

# The names of a field, squeezed; the first that is told counts.
SIGNALS: Final = (
    "signal", "tradesignal", "tradingsignal", "action", "decision", "recommendation", "operation",
)  # fmt: skip
SIDES: Final = ("side", "direction")
COINS: Final = ("coin", "symbol", "ticker", "asset", "pair", "market", "instrument")
SIZES: Final = ("sizeusd", "positionsizeusd", "notionalusd", "notional")
RISKS: Final = ("riskusd", "marginusd")
LEVERAGES: Final = ("leverage",)
STOPS: Final = ("stoploss", "stoplossprice", "sl")
TARGETS: Final = ("profittarget", "takeprofit", "takeprofitprice", "targetprice", "tp")
CONFIDENCES: Final = ("confidence", "confidencescore")
REASONS: Final = ("justification", "reasoning", "analysis", "invalidationcondition")
FIELDS: Final = frozenset((*SIZES, *RISKS, *LEVERAGES, *STOPS, *TARGETS, *CONFIDENCES, *REASONS))
TELLING: Final = frozenset((*SIGNALS, *SIDES))
# Below these a model repeats what it was shown.
SHOWN: Final = frozenset(
    {
        "account", "accountinfo", "currentpositions", "example", "examples", "history",
        "lastdecisions", "marketdata", "memory", "openpositions", "portfolio", "positions",
        "previousdecisions", "prices",
    }
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Piece:
    """A value that stands for one decision.

    ``coin`` is under whose name it stands, "" for none; ``is_silent`` without any signal;
    ``is_shown`` below what a model repeats; ``is_second`` in the summary of an object that has
    both sections; ``around`` where its block begins.
    """

    coin: str
    start: int
    end: int
    members: tuple[Member, ...]
    is_whole: bool
    is_silent: bool
    is_shown: bool
    is_second: bool
    around: int


class Place(NamedTuple):
    """Where a block stands: under which coin, in which block, below what is only shown."""

    coin: str
    start: int
    around: int
    is_shown: bool = False
    is_second: bool = False


def pieces_of(block: Block, label: str, known: Collection[str]) -> list[Piece]:
    """Return the pieces in an outermost block, in their order; ``label`` is what names it."""
    found: list[Piece] = []
    if block.is_array or any(map(_is_coin, block.members)):
        label = ""  # They name their coins themselves.
    _walk(block, Place(label, block.start, block.start), known, found)
    return found


def chosen(pieces: Iterable[Piece]) -> list[Piece]:
    """Return the pieces that are decisions, not what else is told of coins.

    A piece without a signal is a damaged decision where its neighbors have one, or where there
    is no other; else it is a list of prices, or of positions.
    """
    pieces = list(pieces)
    own = [piece for piece in pieces if not piece.is_shown]
    for candidates in (own, pieces):
        if speaking := {piece.around for piece in candidates if not piece.is_silent}:
            return [one for one in candidates if not one.is_silent or one.around in speaking]
    return own


def _is_coin(member: Member) -> bool:
    """Return whether this names the coin of its block."""
    if squeezed(member.name) not in COINS:
        return False
    told = document_of(member.value)
    return isinstance(told, str) and bool(told.strip())


def _walk(block: Block, place: Place, known: Collection[str], found: list[Piece]) -> None:
    names = [squeezed(member.name) for member in block.members]
    told = {
        name
        for name, member in zip(names, block.members, strict=True)
        if not isinstance(member.value, Block)
    }
    has_signal, has_coin = bool(told & TELLING), any(map(_is_coin, block.members))
    if block.is_array or not (has_signal or (has_coin and told & FIELDS)):
        _walk_members(block, names, place, known, found)
        return
    if not place.coin and not has_coin and len(known) != 1:
        # Of no coin: what is around decisions, or else one whose coin is lost.
        before = len(found)
        _walk_members(block, names, place, known, found)
        if len(found) > before or not any(
            action_of(member.value) for member in block.members if isinstance(member.value, str)
        ):
            return
    # Where a closing brace is missing, the next coins are in here.
    own: list[Member] = []
    astray: list[Piece] = []
    end = block.end
    for member in block.members:
        inside: list[Piece] = []
        if isinstance(member.value, Block):
            coin = coin_of(member.name, known)
            there = place._replace(coin=coin, start=member.start)
            _walk(member.value, there, known, inside)
            if member.name and not coin:
                inside = [one for one in inside if one.coin and not one.is_silent]
        if not inside:
            own.append(member)
        elif not astray:
            end = member.start
        astray += inside
    piece = Piece(
        coin=place.coin,
        start=place.start,
        end=end,
        members=tuple(own),
        is_whole=block.is_whole or bool(astray),
        is_silent=not has_signal,
        is_shown=place.is_shown,
        is_second=place.is_second,
        around=place.around,
    )
    found += [piece, *astray]


def _walk_members(
    block: Block, names: list[str], place: Place, known: Collection[str], found: list[Piece]
) -> None:
    for name, member in zip(names, block.members, strict=True):
        value, coin = member.value, coin_of(member.name, known)
        if not coin and isinstance(value, Block) and TICKER.fullmatch(member.name):
            inner = {squeezed(one.name) for one in value.members}
            is_named = inner & (FIELDS | TELLING) and not any(map(_is_coin, value.members))
            coin = member.name if is_named else ""
        start = member.start
        inside = place._replace(
            start=start,
            is_shown=place.is_shown or name in SHOWN,
            is_second=place.is_second or name == "tradingdecisions",
        )
        if coin or not place.coin:
            inside = inside._replace(coin=coin, around=block.start)
        before = len(found)
        if isinstance(value, Block):
            _walk(value, inside, known, found)
        if coin and len(found) == before:
            end = value.end if isinstance(value, Block) else start
            whole = member.is_whole and (not isinstance(value, Block) or value.is_whole)
            is_silent = isinstance(value, Block) or not action_of(value)
            alone = () if isinstance(value, Block) else (Member("signal", start, value),)
            members = tuple(value.members) if isinstance(value, Block) else alone
            found.append(
                Piece(
                    coin=coin,
                    start=start,
                    end=end,
                    members=members,
                    is_whole=whole,
                    is_silent=is_silent,
                    is_shown=inside.is_shown,
                    is_second=inside.is_second,
                    around=block.start,
                )
            )
