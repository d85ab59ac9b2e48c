"""What bots tell and read of themselves, and what others want of them."""

from collections.abc import Sequence
from dataclasses import asdict

import msgspec
from django.http import Http404, HttpResponse
from django.utils import timezone
from rest_framework.decorators import action
from rest_framework.request import Request

from apps.bots.api.rows_instances import BeatAnswer, BeatRow, BotRow, RecoveryAnswer, WishRow
from apps.bots.choices import BotStatus, DesiredState
from apps.bots.models import BotInstance
from apps.bots.services import heartbeats, instances, recovery, wishes
from apps.logs.api.callers import DecisionPermission, name_of
from apps.shared.api import filters, parsing
from apps.shared.api.answers import json_response
from apps.shared.api.filters import ANY_OF, RANGE
from apps.shared.api.openapi import STORED_ROW, describe
from apps.shared.api.viewsets import EntityViewSet, answer
from apps.shared.api.writing import once
from apps.shared.ingest import Ingested

DESCRIBED = [name for name in BotRow.__struct_fields__ if name != "id"]
REPORTED = [
    "status",
    "current_balance",
    "total_pnl",
    "open_positions",
    "last_candle_at",
    "last_decision_at",
    "error_count",
    "last_error",
    "loop_time_ms",
    "reported_config_hash",
    "started_at",
    "reported_at",
]
SEEN = [
    "last_heartbeat",
    "beats",
    "health",
    "health_since",
    "last_activity_at",
    "usual_gap_seconds",
]
WANTED = [
    "desired_state",
    "desired_by",
    "desired_reason",
    "desired_at",
    "instruction",
    "delivered_at",
    "acknowledged_at",
]
# What only heartbeats and wishes may move, and what is made here.
LIFE = ("config_hash", *REPORTED, *SEEN, "overdue_at", *WANTED)
BEAT_BYTES = parsing.MEBIBYTE


class BotInstanceViewSet(EntityViewSet):
    """Bots under their own names: what they are, whether they live, what is wanted of them.

    PUT registers a bot, or describes it anew; POST does so for many, but refuses one that is
    known under another description. Its life moves by what is posted to ``heartbeat/``, what is
    wanted of it by ``desired-state/``.
    """

    queryset = BotInstance.objects.all()
    row = BotRow
    life = LIFE
    moved_by = "Is moved by heartbeat/ and desired-state/ alone."
    lookup_field = "id"
    subject_fields = {"bot": "id"}
    throttle_scope: str | None = None
    fields = [
        "id",
        *DESCRIBED,
        "config_hash",
        *REPORTED,
        *SEEN,
        *WANTED,
        "created_at",
        "updated_at",
    ]
    filterset_fields = {
        "id": ANY_OF,
        "type": ANY_OF,
        "status": ANY_OF,
        "health": ANY_OF,
        "symbol": ANY_OF,
        "strategy_name": ANY_OF,
        "desired_state": ANY_OF,
        "last_heartbeat": RANGE,
        "created_at": RANGE,
    }
    ordering_fields = ["created_at", "id"]

    def store(self, rows: Sequence[BotRow]) -> Ingested:
        """Register bots that are new."""
        return instances.register_bots(rows, now=timezone.now(), replace=False)

    def replace(self, rows: Sequence[BotRow]) -> Ingested:
        """Register bots, or describe them anew."""
        return instances.register_bots(rows, now=timezone.now())

    @action(detail=True, methods=["post"], throttle_scope="heartbeat")
    @describe(body=BeatRow, answer=BeatAnswer)
    def heartbeat(self, request: Request, **kwargs: str) -> HttpResponse:
        """Take in a sign of life; an empty object is one, and so is an empty body.

        The answer says what is wanted of the bot. An instruction counts as delivered then, and as
        acknowledged by a later heartbeat that names its number or, from a bot that names none,
        reports the state that was wanted. An old heartbeat that comes once more changes nothing.
        """
        filters.check_known(request._request.GET, [])
        body = parsing.read_body(request._request, BEAT_BYTES)
        row = BeatRow() if parsing.empty_body(body) else self.read_one(request, BeatRow)
        values = msgspec.structs.asdict(row)
        values["status"] = BotStatus(row.status) if row.status else None
        now = timezone.now()
        report = heartbeats.BeatReport(**values)
        wanted = heartbeats.beat(bot_id=self.bot_id, report=report, now=now)
        return answer(BeatAnswer(**asdict(wanted), server_time=now))

    @action(
        detail=True,
        methods=["post"],
        url_path="desired-state",
        permission_classes=[DecisionPermission],
    )
    @describe(body=WishRow, answer=STORED_ROW)
    def desired_state(self, request: Request, **kwargs: str) -> HttpResponse:
        """Want a bot to run, to pause or to stop; it is told with its next heartbeat.

        The same wish again has no effect.
        """
        filters.check_known(request._request.GET, [])
        row = self.read_one(request, WishRow)
        self.check_known_bot()
        once(
            lambda: wishes.wish(
                self.found(),
                state=DesiredState(row.desired_state),
                by=name_of(request),
                reason=row.reason,
                now=timezone.now(),
            )
        )
        return self.stored(self.found())

    @action(detail=True)
    @describe(answer=RecoveryAnswer)
    def recovery(self, request: Request, **kwargs: str) -> HttpResponse:
        """Answer everything a bot needs to go on where it stopped, as of one moment."""
        filters.check_known(request._request.GET, [])
        return json_response(recovery.recover(bot_id=self.bot_id).text.encode())

    @property
    def bot_id(self) -> str:
        """Return the name in the address."""
        return str(self.kwargs[self.lookup_field])

    def check_known_bot(self) -> None:
        """Raise UnknownBot where there is none of this name."""
        try:
            known = self.found().exists()
        except Http404:
            known = False
        if not known:
            raise instances.UnknownBot("There is no bot of this name.")
