"""What the API is measured against: the same resource the usual way, with DRF's serializers."""

from typing import Any, ClassVar

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import include, path
from django.utils import timezone
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from apps.bots.models import BotInstance
from apps.market.models import Candle
from config.urls import urlpatterns as product

FIELDS = [
    "id", "symbol", "source", "granularity", "timestamp",
    "open", "high", "low", "close", "volume", "created_at",
]  # fmt: skip


class CandleSerializer(ModelSerializer):
    class Meta:
        model = Candle
        fields = FIELDS
        # The check per row would be a query per row, which nobody would want.
        validators: ClassVar[list[Any]] = []


class NewestFirst(CursorPagination):
    ordering = ("-timestamp", "-id")
    page_size = 100
    page_size_query_param = "limit"


class CandlePeer(ModelViewSet):
    queryset = Candle.objects.all()
    serializer_class = CandleSerializer
    pagination_class = NewestFirst
    parser_classes: ClassVar[list[Any]] = [JSONParser]
    schema = None

    def create(self, request: Request, *args: Any, **kwargs: Any) -> Response:
        serializer = CandleSerializer(data=request.data, many=True)
        serializer.is_valid(raise_exception=True)
        rows = [Candle(**values) for values in serializer.validated_data]
        Candle.objects.bulk_create(rows, batch_size=1000)
        return Response({"created": len(rows)}, status=201)


def select_one(request: HttpRequest) -> HttpResponse:
    """Answer what the database says; as little as a view that asks it can do."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        return HttpResponse(str(cursor.fetchone()[0]))


class BeatSerializer(ModelSerializer):
    class Meta:
        model = BotInstance
        fields: ClassVar[list[str]] = [
            "id", "status", "current_balance", "total_pnl", "open_positions", "last_candle_at",
            "error_count", "loop_time_ms", "last_heartbeat", "desired_state", "instruction",
            "config_hash",
        ]  # fmt: skip
        read_only_fields: ClassVar[list[str]] = [
            "id", "last_heartbeat", "desired_state", "instruction", "config_hash",
        ]  # fmt: skip


class BeatPeer(APIView):
    """A heartbeat: the bot is loaded, changed by a serializer and saved; its key is checked."""

    queryset = BotInstance.objects.all()
    parser_classes: ClassVar[list[Any]] = [JSONParser]
    throttle_scope = "heartbeat"
    schema = None

    def post(self, request: Request, pk: str) -> Response:
        bot = get_object_or_404(BotInstance, pk=pk)
        serializer = BeatSerializer(bot, data=request.data, partial=True)
        serializer.is_valid(raise_exception=True)
        serializer.save(last_heartbeat=timezone.now())
        return Response(serializer.data)


router = SimpleRouter()
router.register("candles", CandlePeer, basename="peer-candles")

urlpatterns = [
    *product,
    path("peer/", include(router.urls)),
    path("peer/select-one/", select_one),
    path("peer/heartbeat/<str:pk>/", BeatPeer.as_view()),
]
