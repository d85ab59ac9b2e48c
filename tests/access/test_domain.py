"""What a key looks like and when it opens something."""

from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest

from apps.access import domain
from apps.access.choices import KeyState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_key_names_itself_by_its_prefix():
    prefix, key = domain.new_key()

    assert key.startswith(prefix + "_")
    assert domain.prefix_of(key) == prefix
    assert len(prefix) == len("blt_") + 8


def test_key_holds_256_random_bits():
    _, key = domain.new_key()

    assert len(bytes.fromhex(key.rpartition("_")[2])) == 32


def test_no_two_keys_are_alike():
    assert len({domain.new_key()[1] for _ in range(200)}) == 200


@pytest.mark.parametrize(
    "text",
    [
        "",
        "blt_",
        "blt_abcdefgh",
        "blt_abcdefgh_" + "0" * 63,
        "blt_abcdefgh_" + "0" * 65,
        "blt_abcdefgh_" + "0" * 64 + "\n",
        "blt_ABCDEFGH_" + "0" * 64,
        "xyz_abcdefgh_" + "0" * 64,
        "blt_abcdefg\x00_" + "0" * 64,
    ],
)
def test_what_is_no_key_has_no_prefix(text):
    assert domain.prefix_of(text) is None


def test_hash_is_hmac_sha_256():
    # RFC 4231, test case 2
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"

    assert domain.key_hash("what do ya want for nothing?", "Jefe") == expected


def test_hash_depends_on_the_pepper():
    assert domain.key_hash("key", "one") != domain.key_hash("key", "two")


@pytest.mark.parametrize(
    ("expires_at", "revoked_at", "replaced", "state"),
    [
        (NOW + HOUR, None, False, KeyState.ACTIVE),
        (NOW + HOUR, None, True, KeyState.RETIRING),
        (NOW, None, False, KeyState.EXPIRED),
        (NOW - HOUR, None, True, KeyState.EXPIRED),
        (NOW + HOUR, NOW - HOUR, False, KeyState.REVOKED),
        (NOW - HOUR, NOW - HOUR, True, KeyState.REVOKED),
    ],
)
def test_state_follows_expiry_and_revocation(expires_at, revoked_at, replaced, state):
    assert (
        domain.state_at(NOW, expires_at=expires_at, revoked_at=revoked_at, replaced=replaced)
        is state
    )


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("bearer  abc ", "abc"),
        ("Bearer", ""),
        (f"Basic {b64encode(b'anything:abc').decode()}", "abc"),
        (f"basic  {b64encode(b':abc').decode()} ", "abc"),
        (f"Basic {b64encode(b'no colon').decode()}", ""),
        (f"Basic {b64encode(bytes([255])).decode()}", ""),
        ("Basic abc", ""),
        ("Basic \xe9", ""),
        ("Digest abc", None),
        ("", None),
    ],
)
def test_key_stands_behind_bearer_or_is_the_password_of_basic(header, token):
    assert domain.shown_key(header) == token
