"""What the lists of agents' rows share: names in little room, and a search that is exact."""

from collections.abc import Sequence
from contextlib import suppress
from uuid import UUID

from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from apps.agents.admin import shown
from apps.agents.models import TradingAgent
from apps.shared import display
from apps.shared.admin.filters import RelatedFilter
from apps.shared.admin.lists import SEARCH_LIMIT


def identifier(words: str) -> UUID | None:
    """Return the id that was written, None where it is none."""
    with suppress(ValueError):
        return UUID(words)
    return None


class AgentFilter(RelatedFilter):
    """One agent, found by typing; what is set is said by its name."""

    def chips(self) -> list[tuple[str, list[str]]]:
        value = self.value()
        if not value:
            return []
        key = identifier(str(value))
        asked = TradingAgent.objects.filter(pk__in=[key] if key else [])
        name = asked.values_list("name", flat=True).first()
        return [(f"{self.title}: {name or value}", [self.lookup_kwarg])]


def narrow(value: str | None, reason: str = "") -> SafeString:
    """Return a name in as little room as a list has for it, all of it on hover."""
    if not value:
        return display.empty(reason)
    words = display.visible(value)
    return format_html('<span class="b-cut b-narrow" title="{}">{}</span>', words, words)


def agent_link(agent: TradingAgent) -> SafeString:
    """Return the link to an agent where a list has little room for its name."""
    url, words = shown.page_of(TradingAgent, agent.pk), narrow(agent.name)
    return display.link(url, words) if url else words


class FindMixin:
    """Finds rows by an exact id, or by columns that hold names; nothing else is looked into.

    Whoever looks for something by name is shown all time, not the last days.
    """

    #: Columns compared with the term as it stands, and in capitals.
    found_by: Sequence[str] = ()
    found_by_ids: Sequence[str] = ("pk",)
    #: Whether an index knows where the names stand; without one the last days are looked at.
    names_are_indexed: bool = True
    #: Parameters that name something so narrow that its time does not matter.
    narrowing: Sequence[str] = ()

    def get_default_period(self, request: HttpRequest) -> str:
        term = request.GET.get("q", "").strip()
        named = any(request.GET.get(name) for name in self.narrowing)
        if named or (term and (self.names_are_indexed or identifier(term))):
            return "all"
        return super().get_default_period(request)  # type: ignore[misc]

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet, search_term: str
    ) -> tuple[QuerySet, bool]:
        term = search_term.strip()[:SEARCH_LIMIT]
        if not term:
            return queryset, False
        wanted = Q()
        for name in self.found_by:
            wanted |= Q(**{f"{name}__in": sorted({term, term.upper()})})
        key = identifier(term)
        if key is not None:
            # Nothing is named by what is an id, and so its index alone is asked.
            wanted = Q()
            for name in self.found_by_ids:
                wanted |= Q(**{name: key})
        return queryset.filter(wanted), False
