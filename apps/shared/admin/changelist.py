"""The list of rows, whose cost does not grow with the table."""

from typing import Any

from django.contrib.admin.views.main import PAGE_VAR, SEARCH_VAR
from django.core.paginator import Paginator
from django.http import HttpRequest
from unfold.views import ChangeList

from apps.shared.admin.reads import About, estimate

# The database walks over everything before the page: past this, narrowing is what helps.
MAX_PAGE = 100


class BoundedPaginator(Paginator):
    """Knows its count without counting; see ``BoundedChangeList.get_results``."""

    template_name = "admin/shared/pagination.html"
    known_count: int = 0

    @property
    def count(self) -> int:  # type: ignore[override]
        return self.known_count


class ThingChangeList(ChangeList):
    """A list with chips that say what is filtered."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        super().__init__(request, *args, **kwargs)
        self.chips = [
            {"words": words, "url": self.without(names)}
            for spec in self.filter_specs
            if hasattr(spec, "chips")
            for words, names in spec.chips()
        ]
        if self.query:
            self.chips.insert(0, {"words": f"“{self.query}”", "url": self.without([SEARCH_VAR])})
        self.filter_errors = [
            f"{spec.title}: {error}"
            for spec in self.filter_specs
            for error in getattr(spec, "errors", {}).values()
        ]
        time = getattr(self.model_admin, "time", None)
        periods = [spec for spec in self.filter_specs if time and spec_path(spec) == time]
        self.period_links = periods[0].links(self) if periods else []
        self.period_hides = bool(periods and not periods[0].is_open()) and (
            getattr(periods[0], "period", "") != "all"
        )
        self.all_time_url = self.period_links[-1]["url"] if self.period_links else ""
        self.export_query = self.get_query_string()

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # The heading then keeps quiet about a total that nobody counted.
        self.full_result_count = self.result_count

    def without(self, names: list[str]) -> str:
        """Return the address of this list without the given parameters."""
        return self.get_query_string(dict.fromkeys(names))


def count_words(count: int, opts: Any) -> str:
    return f"{count:,} {opts.verbose_name if count == 1 else opts.verbose_name_plural}"


def spec_path(spec: Any) -> str:
    return str(getattr(spec, "field_path", ""))


class BoundedChangeList(ThingChangeList):
    """A list over a table that may hold ten million rows: one row more is looked at, no count."""

    page_num: int

    def get_results(self, request: HttpRequest) -> None:
        per_page = self.list_per_page
        self.page_num = min(max(self.page_num, 1), MAX_PAGE)
        start = (self.page_num - 1) * per_page
        listed = self.model_admin.listed(self.queryset)
        rows = list(listed[start : start + per_page + 1])
        if not rows and start:
            # Past the end, as an old link may be: the beginning is what there is to see.
            self.page_num, start = 1, 0
            rows = list(listed[: per_page + 1])
        more = len(rows) > per_page
        self.has_next = more and self.page_num < MAX_PAGE
        self.has_previous = self.page_num > 1
        self.at_end_of_pages = more and self.page_num == MAX_PAGE
        seen = start + min(len(rows), per_page)
        self.first_shown, self.last_shown = (start + 1 if rows else 0), seen
        self.result_count = About(max(estimate(self.queryset), seen + 1)) if more else seen
        # Equal, so that the heading does not speak of "all" rows, which would have to be counted.
        self.full_result_count = self.result_count
        self.show_full_result_count = False
        self.show_admin_actions = True
        self.count_words = count_words(self.result_count, self.opts)
        self.result_list = rows[:per_page]
        self.model_admin.prepare_rows(self.result_list)
        self.can_show_all = False
        self.multi_page = self.has_next or self.has_previous
        self.paginator = BoundedPaginator(self.result_list, per_page)
        self.paginator.known_count = self.result_count
        self.previous_url = self.get_query_string({PAGE_VAR: self.page_num - 1})
        self.next_url = self.get_query_string({PAGE_VAR: self.page_num + 1})
