"""Who decides through the API, and whether they may."""

from collections.abc import Mapping
from typing import ClassVar

from rest_framework.request import Request

from apps.shared.api.permissions import STAFF_ACTIONS, ScopePermission


class DecisionPermission(ScopePermission):
    """A decision changes a row: staff need the permission to change it."""

    actions: ClassVar[Mapping[str, tuple[str, ...]]] = {**STAFF_ACTIONS, "POST": ("change",)}


def name_of(request: Request) -> str:
    """Return whom a decision is put down to: the client of a key, or the user."""
    # Who calls with a key is named after its client.
    return str(request.user)
