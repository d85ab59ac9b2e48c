"""Versions are compared as numbers, and a formula does not change without a new one."""

import pytest

from apps.market.domain.features.columns import COLUMNS, INTEGERS, NUMERIC
from apps.market.domain.features.versions import (
    DEFINITIONS,
    definition,
    definition_hash,
    version_key,
)


class TestDefinitionHash:
    @pytest.mark.parametrize(
        ("version", "digits"),
        [
            ("3.0", "3f63b94715d73cf731cd1f68fb788645aabcd22f353eb4b94dabf4bb601aacc7"),
            ("3.1", "852327b6b268181807d45c126b9ecd0469657426af5402c284c6f5f1acb181c8"),
        ],
    )
    def test_is_the_one_that_rows_have_been_stored_under(self, version, digits):
        # If this fails, a definition has been changed: give it a new version, add its hash here.
        assert definition_hash(version) == digits

    def test_of_an_unknown_version_is_refused(self):
        with pytest.raises(ValueError, match=r"'4\.0' are not computed, only 3\.0, 3\.1"):
            definition_hash("4.0")


class TestDefinitions:
    def test_say_which_looks_ahead(self):
        assert {version: found.causal for version, found in DEFINITIONS.items()} == {
            "3.0": False,
            "3.1": True,
        }
        assert definition("3.1") is DEFINITIONS["3.1"]


class TestColumns:
    def test_are_a_hundred_of_which_97_are_numbers(self):
        assert (len(set(COLUMNS)), len(set(NUMERIC))) == (100, 97)
        assert set(COLUMNS) - set(NUMERIC) == {"symbol", "timestamp", "date"}
        assert NUMERIC[:5] == ("open", "high", "low", "close", "volume")
        assert set(NUMERIC) > INTEGERS


class TestVersionKey:
    def test_orders_versions_as_numbers(self):
        versions = ["3.10", "2.0", "3.9", "10", "3", "3.9.1"]
        assert sorted(versions, key=version_key) == ["2.0", "3", "3.9", "3.9.1", "3.10", "10"]
        assert version_key("3.10") == (3, 10)

    @pytest.mark.parametrize(
        "text", ["", ".", "3.", ".1", "03.1", "3.01", "3.1 ", "v3", "3,1", "-1", "٣", "1" * 11]
    )
    def test_refuses_what_is_no_version(self, text):
        with pytest.raises(ValueError, match="no version"):
            version_key(text)
