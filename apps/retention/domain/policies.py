"""What a policy may say: how many days, by which time, and what it may not leave out."""

from collections.abc import Collection, Sequence
from typing import Any

# A century: more is a slip of the keyboard.
MOST_DAYS = 36_525


def age_problem(age_days: Any, least: int = 0) -> str:
    """Return what is wrong with an age in days; empty where nothing is."""
    if isinstance(age_days, bool) or not isinstance(age_days, int):
        return "Must be a whole number of days."
    if not least <= age_days <= MOST_DAYS:
        needed = " Younger rows are needed by others." if least else ""
        return f"Must be from {least:,} to {MOST_DAYS:,} days.{needed}"
    return ""


def time_problem(time_column: Any, known: Collection[str]) -> str:
    """Return what is wrong with the column by which an age is counted."""
    if time_column in known:
        return ""
    return f"Must be one of: {', '.join(known)}."


def exemptions_problem(
    exemptions: Any, *, known: Collection[str], mandatory: Sequence[str], rows: str
) -> str:
    """Return what is wrong with the names of what stays.

    ``mandatory`` are those that may not be missing; ``rows`` says what they are, in the plural.
    """
    if not isinstance(exemptions, list | tuple | set | frozenset) or not all(
        isinstance(name, str) for name in exemptions
    ):
        return "Must be a list of names."
    unknown = sorted(set(exemptions).difference(known))
    if unknown:
        return f"Unknown: {', '.join(unknown)[:200]}."
    return " ".join(never(name, rows) for name in mandatory if name not in exemptions)


def never(name: str, rows: str) -> str:
    """Return the sentence that refuses to delete such rows: "live trades are never deleted."

    A name of several words is a thing that they have: "trades with open orders …".
    """
    words = name.replace("_", " ")
    which = f"{rows} with {words}" if "_" in name else f"{words} {rows}"
    return f"{which[:1].upper()}{which[1:]} are never deleted."
