"""Variables are read by type, and nonsense is refused by name."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from config import env


class TestFlag:
    @pytest.mark.parametrize(("text", "value"), [("1", True), ("Yes", True), ("off", False)])
    def test_takes_the_usual_words(self, monkeypatch, text, value):
        monkeypatch.setenv("DEMO", text)

        assert env.flag("DEMO", default=not value) is value

    def test_has_its_default_when_unset(self, monkeypatch):
        monkeypatch.delenv("DEMO", raising=False)

        assert env.flag("DEMO", default=True) is True

    def test_refuses_another_word_by_name(self, monkeypatch):
        monkeypatch.setenv("DEMO", "perhaps")

        with pytest.raises(ImproperlyConfigured, match="DEMO"):
            env.flag("DEMO", default=True)


class TestInteger:
    @pytest.mark.parametrize("text", ["eighty", "80.5", "-1", "70000"])
    def test_refuses_what_is_no_number_within_bounds(self, monkeypatch, text):
        monkeypatch.setenv("PORT", text)

        with pytest.raises(ImproperlyConfigured, match="PORT"):
            env.integer("PORT", default=8000, minimum=1, maximum=65_535)

    def test_counts_an_empty_variable_as_unset(self, monkeypatch):
        monkeypatch.setenv("PORT", " ")

        assert env.integer("PORT", default=8000) == 8000


class TestUrl:
    def test_refuses_another_kind_of_server(self, monkeypatch):
        monkeypatch.setenv("DATABASE_URL", "mysql://localhost/blotter")

        with pytest.raises(ImproperlyConfigured, match="DATABASE_URL"):
            env.url("DATABASE_URL", schemes={"postgres"})


class TestWords:
    def test_leaves_out_empty_ones(self, monkeypatch):
        monkeypatch.setenv("ALLOWED_HOSTS", "a.example, ,b.example,")

        assert env.words("ALLOWED_HOSTS", default=[]) == ["a.example", "b.example"]


class TestFolder:
    def test_is_absolute_and_knows_the_home(self, monkeypatch):
        monkeypatch.setenv("BLOTTER_HOME", "~/blotter")

        assert env.folder("BLOTTER_HOME", Path("/")) == Path.home() / "blotter"
