"""Trades that have left for an archive: which, and that nobody makes them anew meanwhile."""

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import connection

from apps.shared.errors import DomainError, FieldError

CODE: Final = "archived_trade"
MESSAGE: Final = "This trade was archived; restore its archive to change it."

AMONG: Final = "SELECT id FROM departed_trades WHERE id = ANY(%(keys)s::uuid[])"


class ArchivedTrade(DomainError):
    """The trade has left for an archive, and is told of there alone."""

    code = CODE
    status = 409

    def __init__(self, pointer: str = "") -> None:
        super().__init__(MESSAGE, [archived(pointer)])


def archived(pointer: str) -> FieldError:
    """Return the refusal of a field that names an archived trade."""
    return FieldError(pointer, CODE, MESSAGE)


def departed(keys: Iterable[UUID | str]) -> set[UUID]:
    """Return those keys whose trades have left for an archive; one statement, without keys none.

    Whoever makes a trade asks behind that: a trade that is about to leave keeps its key taken
    until it has left, and from then on it is found here.
    """
    asked = [str(key) for key in keys]
    if not asked:
        return set()
    with connection.cursor() as cursor:
        cursor.execute(AMONG, {"keys": asked})
        return {key for (key,) in cursor.fetchall()}


def check_here(key: UUID | str, pointer: str = "") -> None:
    """Raise ArchivedTrade where this trade has left for an archive; ``pointer``: who names it."""
    if departed([key]):
        raise ArchivedTrade(pointer)
