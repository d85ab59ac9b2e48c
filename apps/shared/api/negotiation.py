"""JSON is all there is, whatever a client says it accepts."""

from collections.abc import Iterable
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class OnlyJson(BaseContentNegotiation):
    """Answer JSON without asking."""

    def select_parser(self, request: Request, parsers: Iterable[Any]) -> None:
        """Return none: viewsets read the body themselves."""
        return

    def select_renderer(
        self, request: Request, renderers: Iterable[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return the first renderer."""
        first = next(iter(renderers))
        return first, first.media_type
