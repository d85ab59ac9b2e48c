"""Columns that need a right of their own, and which columns an answer holds."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from rest_framework.request import Request

from apps.shared.api import filters, listing
from apps.shared.api.errors import ApiError

# Private are texts of up to a million characters: no more rows of them make a page.
MOST_ROWS = 50


class Private(NamedTuple):
    """What it takes to read a private column: a scope of keys, a permission of staff.

    Either comes on top of what reading the rows takes.
    """

    scope: str
    permission: str


PrivateFields = Mapping[str, Private]


def chosen(
    request: Request, text: str, fields: Sequence[str], private_fields: PrivateFields
) -> Sequence[str]:
    """Return the columns that ``text`` names by comma, in the order of the declaration.

    Without a text all of ``fields``. Private ones are in no answer unless they are named, each by
    its own name; ApiError (403) where the caller may not read them, 400 for unknown ones.
    """
    if not text:
        return fields
    asked = set(text.split(","))
    tops = {name.partition(listing.SEPARATOR)[0] for name in fields}
    if unknown := asked - tops - set(fields) - set(private_fields):
        shown = ", ".join(sorted(unknown))[:100].encode(errors="replace").decode()
        raise filters.invalid_parameter("fields", "fields", f"There is no field {shown}.")
    named = [name for name in private_fields if name in asked]
    check_readable(request, [private_fields[name] for name in named])
    public = [
        name for name in fields if name in asked or name.partition(listing.SEPARATOR)[0] in asked
    ]
    return [*public, *named]


def check_readable(request: Request, wanted: Iterable[Private]) -> None:
    """Raise ApiError (403) unless the request's key or user may read all of these."""
    key: Any = request.auth
    for private in wanted:
        if key is not None:
            if private.scope not in key.scopes:
                message = f"This needs a key with the scope {private.scope}."
                raise ApiError(403, "scope_missing", message)
        elif not request.user.has_perm(private.permission):
            raise ApiError(403, "permission_missing", f"This needs {private.permission}.")


def among(private_fields: PrivateFields, *declared: Iterable[str]) -> list[str]:
    """Return the private columns by which rows could be searched or ordered: there must be none.

    Who filters by a column learns what it holds without reading it.
    """
    names = {name.replace("__", listing.SEPARATOR) for each in declared for name in each}
    return sorted(names & set(private_fields))
