"""Private columns: in no answer unless named, and then only for who may read them."""

import pytest
from django.contrib.auth.models import Permission, User
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.urls import path
from drf_spectacular.generators import SchemaGenerator

from apps.market.models import Instrument
from apps.shared.api import private
from apps.shared.api.filters import ANY_OF
from apps.shared.api.private import Private
from apps.shared.api.viewsets import ReadOnlyViewSet
from tests.client import ApiClient
from tests.factories import make_instrument, make_key

NEEDED = Private(scope="market:write", permission="market.change_instrument")


class SecretiveViewSet(ReadOnlyViewSet):
    """Instruments whose sector is nobody's business."""

    queryset = Instrument.objects.all()
    lookup_field = "symbol"
    fields = ["symbol", "company_name"]
    private_fields = {"sector": NEEDED}
    filterset_fields = {"symbol": ANY_OF}
    ordering_fields = ["symbol"]


LIST = "/api/v1/market/secretive/"
ROW = f"{LIST}GOLD/"
urlpatterns = [
    path("api/v1/market/secretive/", SecretiveViewSet.as_view({"get": "list"})),
    path("api/v1/market/secretive/<symbol>/", SecretiveViewSet.as_view({"get": "retrieve"})),
]

pytestmark = [pytest.mark.django_db, pytest.mark.urls(__name__)]


@pytest.fixture(autouse=True)
def gold() -> None:
    make_instrument(symbol="GOLD", company_name="Gold", sector="metals")


def reader(*scopes: str) -> ApiClient:
    return ApiClient(make_key(scopes=["market:read", *scopes]).text)


def staff(*codenames: str) -> Client:
    user = User.objects.create_user("vera", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
    client = Client()
    client.force_login(user)
    return client


def rows(answer):
    assert answer.status_code == 200
    found = answer.json()
    return found.get("results", [found])


@pytest.mark.parametrize("address", [LIST, ROW])
class TestPrivateColumn:
    def test_is_left_out_even_for_who_may_read_it(self, address):
        assert rows(reader("market:write").get(address)) == [
            {"symbol": "GOLD", "company_name": "Gold"}
        ]

    def test_is_answered_where_it_is_named(self, address):
        found = rows(reader("market:write").get(f"{address}?fields=sector,symbol"))

        assert found == [{"symbol": "GOLD", "sector": "metals"}]

    def test_is_refused_to_a_key_without_its_scope(self, address):
        answer = reader().get(f"{address}?fields=symbol,sector")

        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")
        assert "market:write" in answer.json()["detail"]
        assert "metals" not in answer.content.decode()

    def test_is_refused_to_staff_without_its_permission(self, address):
        answer = staff("view_instrument").get(address, {"fields": "sector"})

        assert (answer.status_code, answer.json()["code"]) == (403, "permission_missing")
        assert "metals" not in answer.content.decode()

    def test_is_answered_to_staff_with_its_permission(self, address):
        client = staff("view_instrument", "change_instrument")

        assert rows(client.get(address, {"fields": "sector"})) == [{"sector": "metals"}]

    def test_needs_the_right_to_read_the_row_besides(self, address):
        answer = ApiClient(make_key(scopes=["market:write"]).text).get(f"{address}?fields=sector")

        assert (answer.status_code, answer.json()["code"]) == (403, "scope_missing")

    def test_beside_an_unknown_name_is_no_excuse(self, address):
        assert reader("market:write").get(f"{address}?fields=sector,x").status_code == 400


class TestAPageOfThem:
    def test_holds_fewer_rows_and_goes_on_behind_them(self, monkeypatch):
        monkeypatch.setattr(private, "MOST_ROWS", 2)
        for number in range(4):
            make_instrument(symbol=f"X{number}", sector="x")

        page = reader("market:write").get(f"{LIST}?fields=symbol,sector&limit=1000").json()

        assert len(page["results"]) == 2
        assert len(reader("market:write").get(page["next"]).json()["results"]) == 2
        assert len(reader().get(f"{LIST}?limit=1000").json()["results"]) == 5


class TestSearching:
    @pytest.mark.parametrize("query", ["sector=metals", "ordering=sector", "sector_min=m"])
    def test_by_a_private_column_is_unknown(self, query):
        assert reader("market:write").get(f"{LIST}?{query}").status_code == 400

    @pytest.mark.parametrize(
        "declared",
        [
            {"filterset_fields": {"sector": ANY_OF}},
            {"ordering_fields": ["sector"]},
            {"fields": ["symbol", "sector"]},
        ],
    )
    def test_cannot_even_be_declared(self, declared):
        with pytest.raises(ImproperlyConfigured, match="sector"):
            type("Loose", (SecretiveViewSet,), declared)


class TestDocument:
    def test_says_what_a_private_column_needs(self):
        document = SchemaGenerator(patterns=urlpatterns).get_schema(request=None, public=True)
        operation = document["paths"]["/api/v1/market/secretive/"]["get"]
        thinning = next(each for each in operation["parameters"] if each["name"] == "fields")
        row = document["components"]["schemas"]["Secretive"]

        assert "`sector`" in thinning["description"]
        assert "`market:write`" in thinning["description"]
        assert thinning["schema"]["items"]["enum"] == ["symbol", "company_name", "sector"]
        assert row["required"] == ["symbol", "company_name"]
        assert "sector" in row["properties"]
