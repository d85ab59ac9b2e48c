"""What the API is measured against: the same resource the usual way, with DRF's serializers."""

from typing import Any, ClassVar

from django.urls import include, path
from rest_framework.pagination import CursorPagination
from rest_framework.parsers import JSONParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.routers import SimpleRouter
from rest_framework.serializers import ModelSerializer
from rest_framework.viewsets import ModelViewSet

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


router = SimpleRouter()
router.register("candles", CandlePeer, basename="peer-candles")

urlpatterns = [*product, path("peer/", include(router.urls))]
