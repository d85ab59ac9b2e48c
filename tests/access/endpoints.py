"""Endpoints made for these tests: one writes an instrument and then does as it is told."""

import threading

from django.db import IntegrityError
from django.http import HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from apps.market.models import Instrument
from apps.shared.api.errors import problem


class Gate:
    """Holds a request inside the view until the test lets it go on."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go_on = threading.Event()


gate = Gate()


class InstrumentView(APIView):
    """Writes first, and refuses, crashes or waits afterwards when the body says so."""

    queryset = Instrument.objects.all()

    def get(self, request: Request) -> Response:
        return Response({"count": Instrument.objects.count(), "who": str(request.user)})

    def post(self, request: Request) -> HttpResponse:
        wish = request.data
        if "symbol" in wish:
            Instrument.objects.create(symbol=wish["symbol"])
        if wish.get("wait"):
            gate.entered.set()
            assert gate.go_on.wait(10)
        if wish.get("crash"):
            raise RuntimeError("on purpose")
        if wish.get("hide_failure"):
            try:
                Instrument.objects.create(symbol=wish["symbol"])
            except IntegrityError:
                return Response({"hidden": True}, status=201)
        if wish.get("status", 201) >= 400:
            return problem(wish["status"])
        return Response(
            {"count": Instrument.objects.count()},
            status=wish.get("status", 201),
            headers={"Location": "/api/v1/market/instruments/1/"},
        )


class BoundView(InstrumentView):
    """Stands for things that belong to bots; an instrument's country plays the bot."""

    subject_fields = {"bot": "country"}
    lookup_field = "country"

    def get(self, request: Request, country: str = "") -> Response:
        return Response({"country": country})


urlpatterns = [
    path("api/v1/market/probe/", InstrumentView.as_view()),
    path("api/v1/market/bound/", BoundView.as_view()),
    path("api/v1/market/bound/<str:country>/", BoundView.as_view()),
    path("elsewhere/", InstrumentView.as_view()),
]
