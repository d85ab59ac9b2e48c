"""Paper portfolios, their trades and their course in the admin."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.bots.admin import money, shown
from apps.bots.admin.paper_forms import PortfolioForm, suggestions
from apps.bots.admin.paper_pages import NO_SALE, PortfolioStory, percent_of, worth
from apps.bots.choices import COLORS, Origin
from apps.bots.domain.symbols import quote_of
from apps.bots.models import PaperPerformance, PaperPortfolio, PaperTrade
from apps.bots.services import paper
from apps.shared import display
from apps.shared.admin import EntityAdmin, FactAdmin
from apps.shared.admin.steps import Step, StepsMixin

RESET_ASKS = (
    "Each is closed as it stands, with its trades and its course, and the next generation of it"
    " begins with the money that the first began with. What is held is not sold."
)


def reset(rows: QuerySet[PaperPortfolio], /, *, by: str, now: datetime) -> int:
    """Have the service reset each of these that is in use; return how many."""
    found = list(rows.active().order_by("pk").values_list("pk", flat=True))  # type: ignore[attr-defined]
    with transaction.atomic():
        for pk in found:
            paper.reset(portfolio_id=pk, by=by, now=now)
    return len(found)


def activity(portfolio: PaperPortfolio) -> SafeString:
    if portfolio.is_active:
        return display.badge("In use", "success")
    return display.badge("Closed", "default", "It was reset; a later generation goes on.")


@admin.register(PaperPortfolio)
class PaperPortfolioAdmin(StepsMixin, EntityAdmin):
    list_display = [
        "title", "symbol", "owner", "state", "cash", "held", "newest", "equity", "total",
        "total_pct", "realized", "created_at",
    ]  # fmt: skip
    list_filter = ["created_at", "is_active", "symbol", "bot"]
    search_fields = ["=name", "=symbol"]
    large_table = True
    time = "created_at"
    ordering = ["-created_at", "-id"]
    sortable_by: Sequence[str] = []
    titles = {"created_at": "Opened"}
    empty_hint = "Open one here, or by POST /api/v1/bots/paper-portfolios/ with a key."
    empty_reasons = {
        "bot": "No bot trades it: anyone may.",
        "avg_buy_price": "Nothing is held.",
        "predecessor": "It is the first of its name.",
        "closed_at": "It is in use.",
    }
    page_template = "admin/bots/paper_portfolio.html"
    groups = [
        ("Portfolio", ["name", "symbol", "bot", "fee_rate", "slippage"]),
        ("Times", ["generation", "predecessor", "created_at", "updated_at", "closed_at"]),
    ]
    steps = [
        Step("reset", "Reset", "begun anew", reset, lambda row: row.is_active, RESET_ASKS),
    ]

    # What it holds follows from its trades: there is no form for it, only a reset.

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def prepare_rows(self, rows: Sequence[Any]) -> None:
        now = timezone.now()
        marks = money.marks_of((row.symbol for row in rows), now=now)
        for row in rows:
            row.mark, row.seen_at = marks.get(row.symbol), now
            row.worth = worth(row, row.mark)
            row.gained = None if row.worth is None else row.worth - row.initial_balance

    @admin.display(description="Portfolio")
    def title(self, obj: PaperPortfolio) -> SafeString:
        return display.short_text(str(obj))

    @admin.display(description="Bot")
    def owner(self, obj: PaperPortfolio) -> SafeString:
        return money.bot_link(obj.bot_id, "No bot trades it: anyone may.")

    @admin.display(description="State")
    def state(self, obj: PaperPortfolio) -> SafeString:
        return activity(obj)

    @admin.display(description="Cash")
    def cash(self, obj: PaperPortfolio) -> SafeString:
        return money.money(obj.quote_balance, currency=quote_of(obj.symbol))

    @admin.display(description="Asset")
    def held(self, obj: PaperPortfolio) -> SafeString:
        return money.size(obj.asset_balance)

    @admin.display(description="Newest")
    def newest(self, obj: Any) -> SafeString:
        return money.mark(obj.mark, now=obj.seen_at)

    @admin.display(description="Worth now")
    def equity(self, obj: Any) -> SafeString:
        return money.money(obj.worth, money.NO_PRICE, quote_of(obj.symbol))

    @admin.display(description="P&L")
    def total(self, obj: Any) -> SafeString:
        return money.signed_money(obj.gained, money.NO_PRICE, quote_of(obj.symbol))

    @admin.display(description="P&L %")
    def total_pct(self, obj: Any) -> SafeString:
        return display.signed_pct(percent_of(obj.gained, obj.initial_balance), money.NO_PRICE)

    @admin.display(description="Realized")
    def realized(self, obj: PaperPortfolio) -> SafeString:
        return money.signed_money(obj.realized_pnl, currency=quote_of(obj.symbol))

    # --- the page -------------------------------------------------------------------------

    def page_title(self, obj: PaperPortfolio) -> str:
        return obj.name

    def page_badges(self, obj: PaperPortfolio) -> list[SafeString]:
        return [
            shown.trade_type("paper"),
            activity(obj),
            display.badge(f"Generation {obj.generation}", "info"),
        ]

    def page_context(self, request: HttpRequest, obj: PaperPortfolio) -> dict[str, Any]:
        story = PortfolioStory(obj, now=timezone.now(), user=request.user)
        return super().page_context(request, obj) | {"story": story}

    # --- opening one ----------------------------------------------------------------------

    def add_view(
        self,
        request: HttpRequest,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show the form, or open the portfolio by the service that the API opens them by."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        form = PortfolioForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            with transaction.atomic():
                opened, is_new = form.open(now=timezone.now())
                if opened is not None and is_new:
                    self.log_addition(request, opened, "Opened by hand.")
            if opened is not None:
                words = "is open" if is_new else "was open already, with the same terms"
                messages.success(request, f"{opened.name} {words}.")
                return HttpResponseRedirect(money.thing_url("paperportfolio", opened.pk))
        return TemplateResponse(
            request,
            "admin/bots/paper_form.html",
            {
                **self.admin_site.each_context(request),
                "opts": self.opts,
                "title": "Open a paper portfolio",
                "form": form,
                "suggestions": suggestions(),
            },
        )


@admin.register(PaperTrade)
class PaperTradeAdmin(FactAdmin):
    list_display = [
        "timestamp", "trade_type", "of", "symbol", "shown_amount", "shown_price", "market",
        "paid", "charged", "result",
    ]  # fmt: skip
    list_display_links = ["timestamp"]
    list_filter = ["timestamp", "trade_type", "portfolio"]
    list_select_related = ["portfolio"]
    search_fields = ["=id", "=portfolio__name", "=portfolio__symbol"]
    search_help_text = "Exact id, portfolio or symbol"
    time = "timestamp"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    colors = COLORS
    empty_hint = "Bots trade paper by POST to the trades of a portfolio, with a key."
    empty_reasons = {
        "market_price": "The sender gave the price.",
        "pnl": NO_SALE,
    }
    groups = [
        ("Trade", ["id", "portfolio", "trade_type", "timestamp", "created_at"]),
        ("Money", ["market_price", "price", "amount", "value", "fee", "pnl"]),
    ]

    @admin.display(description="Portfolio")
    def of(self, obj: PaperTrade) -> SafeString:
        url = money.thing_url("paperportfolio", obj.portfolio_id)
        return display.link(url, display.short_text(str(obj.portfolio)))

    @admin.display(description="Symbol")
    def symbol(self, obj: PaperTrade) -> SafeString:
        return display.text(obj.portfolio.symbol)

    @admin.display(description="Amount")
    def shown_amount(self, obj: PaperTrade) -> SafeString:
        return money.size(obj.amount)

    @admin.display(description="Price paid")
    def shown_price(self, obj: PaperTrade) -> SafeString:
        return money.size(obj.price)

    @admin.display(description="Market price")
    def market(self, obj: PaperTrade) -> SafeString:
        return money.size(obj.market_price, "The sender gave the price.")

    @admin.display(description="Value")
    def paid(self, obj: PaperTrade) -> SafeString:
        return money.money(obj.value, currency=quote_of(obj.portfolio.symbol))

    @admin.display(description="Fee")
    def charged(self, obj: PaperTrade) -> SafeString:
        return money.money(obj.fee, currency=quote_of(obj.portfolio.symbol))

    @admin.display(description="P&L")
    def result(self, obj: PaperTrade) -> SafeString:
        return money.signed_money(obj.pnl, NO_SALE, quote_of(obj.portfolio.symbol))

    def page_title(self, obj: PaperTrade) -> str:
        side = "Bought" if obj.trade_type == "buy" else "Sold"
        return f"{side} {display.grouped(obj.amount)} of {obj.portfolio.symbol}"

    def page_badges(self, obj: PaperTrade) -> list[SafeString]:
        return [shown.trade_type("paper"), shown.side(obj.trade_type)]


@admin.register(PaperPerformance)
class PaperPerformanceAdmin(FactAdmin):
    list_display = [
        "timestamp", "of", "from_whom", "shown_price", "value", "day", "all_of_it", "won",
        "sharpe", "drawdown",
    ]  # fmt: skip
    list_display_links = ["timestamp"]
    list_filter = ["timestamp", "origin", "portfolio"]
    list_select_related = ["portfolio"]
    search_fields = ["=portfolio__name"]
    search_help_text = "Exact name of the portfolio"
    time = "timestamp"
    default_period = "week"
    ordering = ["-timestamp", "-id"]
    sortable_by = ["timestamp"]
    empty_hint = "Every portfolio in use is marked to market every 15 minutes."
    empty_reasons = {
        "portfolio": "It is about all portfolios of who reported it.",
        "price": "It was not told.",
        "daily_pnl": "It was not told.",
        "total_pnl": "It was not told.",
        "win_rate": "No sale won or lost yet.",
        "sharpe_ratio": "It takes returns of several days that differ.",
        "max_drawdown": "It was not told.",
    }

    @admin.display(description="Portfolio")
    def of(self, obj: PaperPerformance) -> SafeString:
        if obj.portfolio is None:
            return display.empty("It is about all portfolios of who reported it.")
        url = money.thing_url("paperportfolio", obj.portfolio_id)
        return display.link(url, display.short_text(str(obj.portfolio)))

    @admin.display(description="From")
    def from_whom(self, obj: PaperPerformance) -> SafeString:
        return display.badge(str(Origin(obj.origin).label), "default")

    @admin.display(description="Price")
    def shown_price(self, obj: PaperPerformance) -> SafeString:
        return money.size(obj.price, "It was not told.")

    @admin.display(description="Worth")
    def value(self, obj: PaperPerformance) -> SafeString:
        return money.money(obj.total_value)

    @admin.display(description="Day")
    def day(self, obj: PaperPerformance) -> SafeString:
        return money.signed_money(obj.daily_pnl, "It was not told.")

    @admin.display(description="P&L")
    def all_of_it(self, obj: PaperPerformance) -> SafeString:
        return money.signed_money(obj.total_pnl, "It was not told.")

    @admin.display(description="Win rate")
    def won(self, obj: PaperPerformance) -> SafeString:
        rate = None if obj.win_rate is None else float(obj.win_rate)
        return shown.percent(rate, "No sale won or lost yet.")

    @admin.display(description="Sharpe")
    def sharpe(self, obj: PaperPerformance) -> SafeString:
        return shown.ratio(obj.sharpe_ratio, "It takes returns of several days that differ.")

    @admin.display(description="Drawdown")
    def drawdown(self, obj: PaperPerformance) -> SafeString:
        fall = None if obj.max_drawdown is None else float(obj.max_drawdown)
        return shown.percent(fall, "It was not told.")

    def page_title(self, obj: PaperPerformance) -> str:
        return f"{obj.portfolio or 'All portfolios'} at {display.utc_words(obj.timestamp)}"

    def page_badges(self, obj: PaperPerformance) -> list[SafeString]:
        return [shown.trade_type("paper"), self.from_whom(obj)]
