"""Cursors cannot be made up, and belong to one list."""

import base64

import pytest

from apps.shared.api.errors import ApiError
from apps.shared.api.pagination import Cursor, Ordering, read_cursor, read_limit

NEWEST = Ordering("timestamp", descending=True)
CURSOR = Cursor("2026-01-31 12:00:00+00", "17", False)
LIST = "/api/v1/market/candles/"


def decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class TestCursor:
    def test_comes_back_as_it_went(self):
        assert read_cursor(CURSOR.text(LIST, NEWEST), LIST, NEWEST) == CURSOR

    @pytest.mark.parametrize(
        ("resource", "ordering"),
        [
            ("/api/v1/alerts/alerts/", NEWEST),
            (LIST, Ordering("timestamp", descending=False)),
            (LIST, Ordering("created_at", descending=True)),
        ],
    )
    def test_is_good_for_its_own_list_alone(self, resource, ordering):
        with pytest.raises(ApiError):
            read_cursor(CURSOR.text(LIST, NEWEST), resource, ordering)

    @pytest.mark.parametrize(
        "text",
        [
            "x",
            "ü",
            "%00",
            "A" * 3000,
            base64.urlsafe_b64encode(b'["2026","1",false]').decode(),
            base64.urlsafe_b64encode(b"\x00" * 12 + b'["2026","1",false]').decode(),
            "!!!!",
        ],
    )
    def test_cannot_be_made_up(self, text):
        with pytest.raises(ApiError) as caught:
            read_cursor(text, LIST, NEWEST)
        assert caught.value.status == 400

    def test_cannot_be_changed(self):
        text = CURSOR.text(LIST, NEWEST)
        for place in range(len(text)):
            changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
            if decoded(changed) == decoded(text):
                continue
            with pytest.raises(ApiError):
                read_cursor(changed, LIST, NEWEST)


class TestLimit:
    def test_has_a_default(self):
        assert read_limit("") == 100

    @pytest.mark.parametrize("text", ["1", "1000"])
    def test_is_taken_within_its_bounds(self, text):
        assert read_limit(text) == int(text)

    @pytest.mark.parametrize("text", ["0", "1001", "-1", "1.5", "x", "१", "9" * 5000, "\x00"])
    def test_is_refused_outside(self, text):
        with pytest.raises(ApiError):
            read_limit(text)
