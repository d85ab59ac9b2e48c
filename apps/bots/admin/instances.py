"""Bots in the admin: a list that says who is alive, and the page of one as it goes on."""

from collections.abc import Sequence
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import F, Func, IntegerField, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.safestring import SafeString

from apps.bots.admin import ledger, money, shown
from apps.bots.admin.instance_pages import BotStory
from apps.bots.admin.wishes import WishesMixin
from apps.bots.choices import COLORS
from apps.bots.models import BotInstance, BotState
from apps.bots.services.instances import register_bots
from apps.shared import display
from apps.shared.admin import EntityAdmin
from apps.shared.admin.changelist import ThingChangeList
from apps.shared.admin.live import LiveMixin

NO_BEATS = "It has never been heard of."
DESCRIBED = "Whoever runs it has not told."


class BotChangeList(ThingChangeList):
    """A list whose rows know what their bots hold, read once for all of them."""

    result_list: Any

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        # One read for all rows: a queryset would be asked anew for them.
        self.result_list = list(self.result_list)
        self.model_admin.prepare_rows(self.result_list)


class BotForm(forms.ModelForm):
    """What describes a bot; how it stands, it says itself."""

    def clean_id(self) -> str:
        name: str = self.cleaned_data["id"]
        if "/" in name or not name.isprintable():
            raise ValidationError("A name holds no / and nothing that is not seen.")
        return name


@admin.register(BotInstance)
class BotInstanceAdmin(LiveMixin, WishesMixin, EntityAdmin):
    form = BotForm
    list_display = [
        "name", "type", "status", "well", "last_heartbeat", "current_balance", "today", "total",
        "holds", "wanted", "strategy_name", "symbol",
    ]  # fmt: skip
    list_filter = ["last_heartbeat", "type", "status", "health", "desired_state", "symbol"]
    search_fields = ["id", "strategy_name", "symbol"]
    ordering = ["id"]
    time = "last_heartbeat"
    colors = COLORS
    titles = {"strategy_name": "Strategy", "current_balance": "Balance"}
    shows = {
        "current_balance": money.money,
        "initial_balance": money.money,
        "loop_time_ms": display.milliseconds,
        **dict.fromkeys(
            ["heartbeat_interval_seconds", "candle_interval_seconds", "usual_gap_seconds"],
            shown.seconds,
        ),
    }
    live_seconds = 5
    empty_hint = (
        "A bot announces itself by POST /api/v1/bots/instances/ with a key, or is added here."
    )
    empty_reasons = {
        "last_heartbeat": NO_BEATS,
        "current_balance": shown.NOT_TOLD,
        "strategy_name": DESCRIBED,
        "symbol": "It trades none in particular, or has not told.",
        "config_file": DESCRIBED,
        "version": DESCRIBED,
        "initial_balance": "Without it there is no return and no equity.",
        "quote_currency": DESCRIBED,
        "candle_interval_seconds": "It is not watched for old data.",
        "config": "None was told.",
        "extra_metadata": "Nothing was sent along.",
        "usual_gap_seconds": "It has done too little yet to have a habit.",
        **dict.fromkeys(
            ["last_candle_at", "last_decision_at", "started_at", "reported_at", "loop_time_ms"],
            shown.NOT_TOLD,
        ),
        "last_error": "None was told of.",
        "last_activity_at": "No trade, order or decision of it is known.",
    }
    page_template = "admin/bots/bot.html"
    groups = [
        ("Described", ["type", "strategy_name", "symbol", "quote_currency", "initial_balance",
                       "config_file", "version", "heartbeat_interval_seconds",
                       "candle_interval_seconds", "created_at", "updated_at"]),
        ("Reported", ["started_at", "reported_at", "last_candle_at", "last_decision_at",
                      "loop_time_ms", "error_count", "last_error", "beats", "last_activity_at",
                      "usual_gap_seconds"]),
        ("Configuration", ["ours", "theirs", "config", "extra_metadata"]),
    ]  # fmt: skip
    fieldsets = [
        (None, {"fields": ["id", "type", ("strategy_name", "symbol"),
                           ("quote_currency", "initial_balance")]}),
        ("Watched by", {"fields": [("heartbeat_interval_seconds", "candle_interval_seconds")]}),
        ("How it is run", {"fields": [("config_file", "version"), "config", "extra_metadata"]}),
    ]  # fmt: skip

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ThingChangeList]:
        return BotChangeList

    def get_queryset(self, request: HttpRequest) -> QuerySet[BotInstance]:
        rows = super().get_queryset(request)
        # A configuration may be long, and no list shows it.
        listed = getattr(request.resolver_match, "url_name", "") == self.url_name("changelist")
        return rows.defer("config", "extra_metadata", "last_error") if listed else rows

    def prepare_rows(self, rows: Sequence[BotInstance]) -> None:
        names = [bot.pk for bot in rows]
        booked = ledger.booked(names, now=timezone.now())
        counts = ledger.open_counts(names)
        for bot in rows:
            bot.booked = booked.get(ledger.own_ledger(bot), ledger.NOTHING)  # type: ignore[attr-defined]
            bot.holding = counts.get(bot.pk, 0)  # type: ignore[attr-defined]

    def save_model(self, request: HttpRequest, obj: BotInstance, form: Any, change: bool) -> None:
        """Store what describes it as a program would: its hash and deadlines follow from it."""
        register_bots([obj], now=timezone.now())
        obj.refresh_from_db()

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Sequence[Any]:
        # The name is what its trades point to.
        return ["id"] if obj else []

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Only what never traded can go; the rest stays on record."""
        allowed: bool = super().has_delete_permission(request, obj)
        return allowed and not (obj and (obj.trades.exists() or obj.carried_results.exists()))

    def is_live(self, obj: BotInstance) -> bool:
        return True

    @admin.display(description="Name", ordering="id")
    def name(self, obj: BotInstance) -> SafeString:
        return shown.middle_cut(obj.pk)

    @admin.display(description="Health", ordering="health")
    def well(self, obj: BotInstance) -> SafeString:
        return shown.bot_health(obj)

    @admin.display(description="Today")
    def today(self, obj: Any) -> SafeString:
        return money.signed_money(obj.booked.today, currency=obj.quote_currency)

    @admin.display(description="Total P&L")
    def total(self, obj: Any) -> SafeString:
        return shown.with_unit(
            money.signed_money(obj.booked.total, currency=obj.quote_currency), obj.quote_currency
        )

    @admin.display(description="Open")
    def holds(self, obj: Any) -> SafeString:
        return display.number(obj.holding)

    @admin.display(description="Wanted", ordering="desired_state")
    def wanted(self, obj: BotInstance) -> SafeString:
        return shown.wish(obj)

    @admin.display(description="Hash here")
    def ours(self, obj: BotInstance) -> SafeString:
        return shown.digest(obj.config_hash, "No configuration was told.")

    @admin.display(description="Hash it reports")
    def theirs(self, obj: BotInstance) -> SafeString:
        return shown.digest(obj.reported_config_hash, shown.NOT_TOLD)

    def page_badges(self, obj: BotInstance) -> list[SafeString]:
        return [shown.trade_type(obj.type), shown.bot_status(obj), shown.bot_health(obj)]

    def page_context(self, request: HttpRequest, obj: BotInstance) -> dict[str, Any]:
        story = BotStory(obj, now=timezone.now(), user=request.user)
        return super().page_context(request, obj) | {"story": story}


@admin.register(BotState)
class BotStateAdmin(EntityAdmin):
    list_display = ["key", "bot_name", "version", "size", "updated_at"]
    list_filter = ["updated_at", "bot"]
    search_fields = ["=key", "=bot__id"]
    search_help_text = "Exact key or name of the bot"
    large_table = True
    ordering = ["-updated_at", "-key"]
    sortable_by = ["updated_at"]
    time = "updated_at"
    empty_hint = "A bot keeps what it needs for its restart by PUT /api/v1/bots/states/…/."
    page_template = "admin/bots/state.html"
    groups = [("Kept", ["key", "bot", "version", "created_at", "updated_at"])]
    empty_reasons = {"bot": "It belongs to no bot."}

    # A program keeps it and reads it again: what staff would write, it would not expect.

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def listed(self, queryset: QuerySet) -> QuerySet:
        stored = Func(F("value"), function="pg_column_size", output_field=IntegerField())
        return super().listed(queryset).annotate(length=stored)

    @admin.display(description="Bot")
    def bot_name(self, obj: BotState) -> SafeString:
        return money.bot_link(obj.bot_id)

    @admin.display(description="Size")
    def size(self, obj: Any) -> SafeString:
        return display.figure(f"{obj.length:,} B")

    def page_badges(self, obj: BotState) -> list[SafeString]:
        return [display.badge(f"Version {obj.version}"), display.age(obj.updated_at)]

    def page_context(self, request: HttpRequest, obj: BotState) -> dict[str, Any]:
        return super().page_context(request, obj) | {"value": shown.document(obj.value)}
