"""JSON is all there is, whatever a client says it accepts."""

from collections.abc import Sequence
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request


class OnlyJson(BaseContentNegotiation):
    """Answer JSON without asking."""

    def select_parser(self, request: Request, parsers: Sequence[Any]) -> None:
        """Return none: viewsets read the body themselves."""
        return

    def select_renderer(
        self, request: Request, renderers: Sequence[Any], format_suffix: str | None = None
    ) -> tuple[Any, str]:
        """Return the first renderer."""
        return renderers[0], renderers[0].media_type
