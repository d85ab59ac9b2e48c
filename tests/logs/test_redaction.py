"""Secrets never survive, evidence does."""

import time
from decimal import Decimal
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.logs.domain.redaction import HINT, REDACTED, redact, redact_value, suspicious
from apps.logs.domain.redaction.names import KEYWORD, rule_of

# Put together at run time: scanners of repositories take literal ones for real.
SECRET = "hun" + "ter2"
OWN_KEY = "blt_" + "abcdefgh_" + "0123456789abcdef" * 4
BODY = "Ab3" * 14
SHAPES = {
    "our own key": (OWN_KEY, OWN_KEY[13:]),
    "AWS": ("AKIA" + "IOSFODNN7EXAMPLE",) * 2,
    "AWS session": ("ASIA" + "IOSFODNN7EXAMPLE",) * 2,
    "OpenAI": ("sk-" + "proj-" + BODY,) * 2,
    "Anthropic": ("sk-" + "ant-api03-" + BODY,) * 2,
    "Stripe": ("sk_" + "live_" + BODY,) * 2,
    "GitHub": ("ghp_" + BODY[:36],) * 2,
    "GitHub OAuth": ("gho_" + BODY[:36],) * 2,
    "GitHub fine-grained": ("github_" + "pat_" + BODY,) * 2,
    "GitLab": ("glpat-" + BODY[:20],) * 2,
    "Slack": ("xoxb-" + "123456789012-" + BODY[:24],) * 2,
    "Google": ("AIza" + BODY[:35],) * 2,
    "Telegram": ("123456789:AA" + BODY[:33], "AA" + BODY[:33]),
    "Discord": ("MTIz" + BODY[:20] + "." + BODY[:6] + "." + BODY[:27],) * 2,
    "npm": ("npm_" + BODY[:36],) * 2,
    "SendGrid": ("SG." + BODY[:22] + "." + BODY[:43],) * 2,
    "JWT": ("eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0." + BODY,) * 2,
    "JWT cut off": ("eyJ" + "hbGciOiJIUzI1NiJ9.eyJzdWIiOiIx",) * 2,
    "PEM": (
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEow" + BODY + "\n-----END RSA PRIVATE KEY-----",
        BODY,
    ),
    "PEM on one line": (
        "-----BEGIN PRIVATE KEY-----\\nMIIEow" + BODY + "\\n-----END PRIVATE KEY-----\\n",
        BODY,
    ),
    "PEM cut off": ("-----BEGIN EC PRIVATE KEY-----\nMHcCAQ" + BODY, BODY),
    "bearer": ("Bearer " + BODY, BODY),
    "basic": ("Basic Ym9iOmh1bnRlcjI=", "Ym9iOmh1bnRlcjI="),
    "Slack hook": ("https://hooks.slack.com/services/T0001/B0001/" + BODY, BODY),
}
NAMED = [
    f"password={SECRET}",
    f"password: {SECRET}",
    f"PASSWORD = {SECRET}",
    f"db_password={SECRET} host=db",
    f"DB_PASSWORD_PRIMARY={SECRET}",
    f'{{"password": "{SECRET}", "a": 1}}',
    f"{{'clientSecret': '{SECRET}'}}",
    f"{{'accessToken': b'{SECRET}'}}",
    f'{{"m": "{{\\"password\\": \\"{SECRET}\\"}}"}}',
    f'"{{""password"": ""{SECRET}""}}"',
    f'password="""{SECRET}"""',
    f'password="{SECRET}',
    f'password="a\\"{SECRET}"',
    f"/login?api_key={SECRET}&page=2",
    f"next=%2Flogin%3Fapi_key%3D{SECRET}%26page",
    f"%22password%22%3A%22{SECRET}%22",
    f"api_key={SECRET}&secret=x",
    f"X-API-KEY: {SECRET}",
    f"X-MBX-APIKEY: {SECRET}",
    f"APCA-API-SECRET-KEY: {SECRET}",
    f"APCA-API-KEY-ID: {SECRET}",
    f"Authorization: Bearer {SECRET}",
    f"Authorization: Basic {SECRET}",
    f"Authorization: Token {SECRET}",
    f"Authorization: Digest username=bob, response={SECRET}",
    f"Authorization: {SECRET}",
    f"curl -H 'Authorization: Bearer {SECRET}' https://x.example",
    f"Cookie: a=1; sessionid={SECRET}; b=2",
    f"Set-Cookie: sessionid={SECRET}; Path=/",
    f"psql --password {SECRET} -h db",
    f"['psql', '--password', '{SECRET}']",
    f"('Authorization', '{SECRET}')",
    f"[(b'x-api-key', b'{SECRET}')]",
    f'{{"name": "password", "value": "{SECRET}"}}',
    f"user[password]={SECRET}",
    f'os.environ["DB_PASSWORD"] = "{SECRET}"',
    f'def connect(password: str = "{SECRET}")',
    f"Client(secret='{SECRET}', user='bob')",
    f"<password>{SECRET}</password>",
    f"\x1b[36mpassword\x1b[0m=\x1b[35m{SECRET}\x1b[0m",
    f"line one\\npassword={SECRET}",
    f"the password is {SECRET}",
    f"logged in with password {SECRET}.",
    f"API key: {SECRET}",
    f"session id: {SECRET}",
    f"mnemonic: abandon ability {SECRET} about",
    f"seed phrase = abandon ability {SECRET} about",
    f'"credentials": {{"user": "bob", "word": "{SECRET}"}}',
    f"otp: {SECRET}",
    f"signature={SECRET}",
    f"private_key=0x{SECRET}",
    f"postgres://bob:{SECRET}@db/blotter",
    f"redis://:{SECRET}@cache:6379/0",
    f"amqp://bob:pa@{SECRET}@mq//",
    f"mongodb+srv://bob:{SECRET}@a.example,b.example/x",
    f"mysql://bob:pa/{SECRET}@db/x",
    f"https://bob:{SECRET}@x.example/a?b=1",
    f"cut off: postgres://bob:{SECRET}",
    f"Server=db;User Id=bob;Password={SECRET};",
    f"password={REDACTED}{SECRET}",
]
HARMLESS = [
    "tokens: 153",
    "max_tokens=1000",
    "token_count=7",
    "prompt_tokens=12, completion_tokens=30",
    "signature_valid=true",
    "password changed for bob",
    "password is required",
    "token is expired",
    "author: Bob",
    "passed=3 failed=0",
    "keyboard: qwerty",
    "symbol key BTC/USDT",
    "secretary: Anna",
    "primary_key=5 idempotency_key=abc",
    "pin_bar=bullish",
    "bearer authentication failed",
    "basic authentication required",
    "api_key=None password=",
    "http://host:8000/x@y?z=1",
    "tx=0x" + "ab" * 32,
    "hash " + "ab" * 32,
    "risk-management-of-positions-2026 done",
    "key blt_abcdefgh used",
]
HEX_KEY = "ab12" * 16
# The two examples of Bitcoin's own documentation, and 88 letters as Solana's.
WIF = "5Kb8kLf9zgWQnogidDA76Mz" + "PL6TsZZY36hWXMssSzNydYXYB9KF"
BASE58_KEY = (
    "4NMwxzmYj2uvHuq8xoqhY8RXg63KSVJM1" + "DXkpbmkUY7YQWuoyQgFnnzn6yo3CMnqZasnNPNuAT2TLwQsCaKkUddp"
)
PHRASE = "legal winner thank year wave sausage worth useful legal winner thank yellow"
TWICE = PHRASE.replace("legal", "scale")
# What wallets are opened with, as prompts and answers hold it.
WALLETS = [
    (f"my key is 0x{HEX_KEY}", HEX_KEY),
    (f"key: {HEX_KEY}", HEX_KEY),
    (f"PK=0x{HEX_KEY.upper()}", HEX_KEY.upper()),
    (f"signer: {HEX_KEY}", HEX_KEY),
    (f"Private key:\n0x{HEX_KEY}", HEX_KEY),
    (f"**Private key:** `0x{HEX_KEY}`", HEX_KEY),
    (f"| private key | 0x{HEX_KEY} |", HEX_KEY),
    (f"your private key (keep it safe): 0x{HEX_KEY}", HEX_KEY),
    (f"private key of 0x{'cd' * 20}: 0x{HEX_KEY}", HEX_KEY),
    (f"sent in tx 0x{'cd' * 32}, key 0x{HEX_KEY}", HEX_KEY),
    (f"0x{HEX_KEY} is my private key", HEX_KEY),
    (f"0x{HEX_KEY} (the private key)", HEX_KEY),
    (f"WIF: {WIF}", WIF),
    (f"Bitcoin key {WIF}", WIF),
    (f"phantom keypair {BASE58_KEY}", BASE58_KEY),
    (f"secret key (base58): {BASE58_KEY}", BASE58_KEY),
    (f"seed: {PHRASE}", "sausage"),
    (f"Seed phrase:\n{PHRASE}", "yellow"),
    (f"Your mnemonic (12 words):\n\n{PHRASE}\n{TWICE}", "scale"),
    ("Recovery words: " + PHRASE.replace(" ", ", "), "sausage"),
    ("mnemonic\n" + "\n".join(f"{n}. {word}" for n, word in enumerate(PHRASE.split(), 1)), "wave"),
    (f"**API key:** `{SECRET}`", SECRET),
    (f"**api_secret**: {SECRET}", SECRET),
    (f"HYPERLIQUID_SECRET_KEY: {SECRET}", SECRET),
]
# Beside names of wallets too, these are no secrets.
OPEN_HASHES = [
    "wallet 0x" + "ab" * 20,
    "vault 0x" + "ab" * 20 + " key level 107105.6",
    "the private key signed transaction 0x" + "ab" * 32,
    "key settled, tx hash: 0x" + "ab" * 32,
    "https://etherscan.io/tx/0x" + "ab" * 32,
    "block hash is 0x" + "ab" * 32,
    "public key " + "ab" * 32,
    "idempotency-key: " + "ab" * 32,
    "private key hash " + "ab" * 32,
    "order id 123e4567-e89b-12d3-a456-426614174000, key resistance at 3,200",
    "seed capital is 10,000, spread over bitcoin ether solana and three smaller coins today",
    "The mnemonic is buy low sell high",
    "token: BTC",
    "token: SOL leads the market",
    "MATIC token: up 5%",
]
PLANTED = [*SHAPES.values(), *((text, SECRET) for text in NAMED), *WALLETS]
# The ways that a text comes to stand in an address.
ENCODED = {
    "in a path": lambda text: f"/nowhere/{quote(text)}",
    "in a query": lambda text: f"/x?note={quote_plus(text)}",
    "twice in a path": lambda text: f"GET /nowhere/{quote(quote(text))}",
    "twice in a query": lambda text: f"/x?a=1&note={quote_plus(quote_plus(text))}",
    "in an address in a query": lambda text: (
        f"/x?next={quote('/y?z=' + quote_plus(text), safe='')}"
    ),
    "wholly": lambda text: quote(text, safe=""),
}


class TestShapes:
    @pytest.mark.parametrize("name", SHAPES)
    def test_are_known_wherever_they_stand(self, name):
        text, secret = SHAPES[name]
        for line in (text, f"got {text} back", f'{{"x": "{text}"}}', f"a={text}&b=1", f"\\n{text}"):
            assert secret not in redact(line), line
            assert REDACTED in redact(line)

    def test_leave_the_public_part_of_our_own_key(self):
        assert redact(f"key {OWN_KEY} used") == f"key blt_abcdefgh_{REDACTED} used"

    def test_leave_what_follows_a_private_key(self):
        text = SHAPES["PEM"][0]
        assert redact(f"before\n{text}\nafter") == f"before\n{REDACTED}\nafter"


class TestNames:
    @pytest.mark.parametrize("text", NAMED)
    def test_hide_what_stands_under_them(self, text):
        found = redact(text)
        assert SECRET not in found
        assert REDACTED in found
        assert redact(found) == found

    def test_keep_name_and_structure(self):
        assert redact(f'{{"user": "bob", "password": "{SECRET}", "n": 1}}') == (
            f'{{"user": "bob", "password": "{REDACTED}", "n": 1}}'
        )
        assert (
            redact(f"postgres://bob:{SECRET}@db:5432/x") == f"postgres://bob:{REDACTED}@db:5432/x"
        )
        assert redact(f"?api_key={SECRET}&symbol=BTC") == f"?api_key={REDACTED}&symbol=BTC"

    @pytest.mark.parametrize("text", HARMLESS)
    def test_that_only_sound_alike_hide_nothing(self, text):
        assert redact(text) == text

    @pytest.mark.parametrize(("text", "secret"), WALLETS, ids=range(len(WALLETS)))
    def test_of_wallets_hide_what_opens_them(self, text, secret):
        for line in (text, f"before. {text}. After", f"# Rules\n{text}\n## Market\nBTC 107105.6"):
            found = redact(line)
            assert suspicious(line)
            assert secret not in found
            assert redact(found) == found

    @pytest.mark.parametrize("text", OPEN_HASHES)
    def test_of_wallets_hide_no_hash_and_no_address(self, text):
        assert redact(text) == text

    def test_are_found_by_the_first_look_too(self):
        words = "pass pwd secret token api_key auth cookie session_id mnemonic otp pin cvv jwt seed"
        for word in [
            *words.split(),
            "sig=",
            "signature",
            "connect.sid",
            "backup_code",
            "2fa",
            "mfa",
        ]:
            assert KEYWORD.search(word), word
            assert HINT.search(word), word

    def test_say_what_kind_of_value_they_have(self):
        assert rule_of("Authorization") == rule_of("Set-Cookie") == "header"
        assert rule_of("Unauthorized") == ""  # what a web server says of a path
        assert rule_of("dbPassword") == rule_of("API_SECRET_KEY") == rule_of("APIKey") == "value"
        assert rule_of("access_tokens") == "unless number"
        assert rule_of("symbol") == rule_of("tokenIn") == rule_of("base_token") == ""


class TestEncodedTexts:
    @pytest.mark.parametrize(("text", "secret"), PLANTED, ids=range(len(PLANTED)))
    def test_keep_no_secret(self, text, secret):
        for way, encode in ENCODED.items():
            encoded = encode(text)
            assert suspicious(encoded), way
            found = redact(encoded)
            for form in (secret, quote(secret), quote_plus(secret), quote(quote(secret))):
                assert form not in found, way
            assert REDACTED in found, way
            assert redact(found) == found, way

    def test_are_kept_decoded_only_where_that_is_what_shows_the_secret(self):
        assert redact(f"/x/postgres%3A//bob%3A{SECRET}%40db%3A5432/a%20b") == (
            f"/x/postgres://bob:{REDACTED}@db:5432/a b"
        )
        assert redact(f"/x%20y?password={SECRET}&z=1%2B1") == f"/x%20y?password={REDACTED}&z=1%2B1"

    @pytest.mark.parametrize("text", HARMLESS)
    def test_without_a_secret_stay_as_they_are(self, text):
        for encoded in (
            f"/nowhere/{quote(text)}",
            f"/x?note={quote_plus(text)}",
            quote(quote(text)),
        ):
            assert redact(encoded) == encoded

    def test_bring_no_characters_that_cannot_be_kept(self):
        assert "\x00" not in redact(f"/x%00%20password%20is%20{SECRET}")


class TestValues:
    def test_under_a_secret_key_are_hidden_whole(self):
        assert redact_value(
            {
                "password": SECRET,
                "api_key": 12345,
                "Credentials": {"user": "bob"},
                "secrets": ["a", "b"],
                "token": None,
                "secret": "",
                "has_password": True,
                "max_tokens": 1000,
                "price": Decimal("1.10"),
                "list": [{"pin": "1234"}, f"password={SECRET}"],
            }
        ) == {
            "password": REDACTED,
            "api_key": REDACTED,
            "Credentials": REDACTED,
            "secrets": REDACTED,
            "token": None,
            "secret": "",
            "has_password": True,
            "max_tokens": 1000,
            "price": Decimal("1.10"),
            "list": [{"pin": REDACTED}, f"password={REDACTED}"],
        }

    def test_of_wallets_are_hidden_by_the_key_they_stand_under(self):
        key, digest = f"0x{HEX_KEY}", "cd" * 32
        found = redact_value({"wallet_key": key, "pk": key, "tx": key, "order_key": digest})

        assert found == {"wallet_key": REDACTED, "pk": REDACTED, "tx": key, "order_key": digest}

    def test_keys_are_redacted_and_none_is_lost(self):
        other = "ghp_" + "Z9" * 18
        found = redact_value({SHAPES["GitHub"][0]: 1, other: 2})
        assert found == {REDACTED: 1, f"{REDACTED} (again)": 2}

    def test_of_command_lines_headers_and_forms_are_hidden(self):
        assert redact_value(["psql", "--password", SECRET, "-h"])[2] == REDACTED
        assert redact_value({"headers": [["X-Api-Key", SECRET], ["Accept", "x"]]}) == {
            "headers": [["X-Api-Key", REDACTED], ["Accept", "x"]]
        }
        assert redact_value({"name": "password", "value": SECRET})["value"] == REDACTED

    def test_of_any_depth_do_no_harm(self):
        deep: list = []
        for _ in range(5000):
            deep = [deep]
        assert "[too deep]" in str(redact_value(deep))


MARKS = """= : " ' & ; , [ ] ( ) { } < > @ / - \\ :// %3D is password token= Cookie: key""".split()  # noqa: SIM905
PARTS = st.sampled_from(
    [
        *(text for text, _ in (*SHAPES.values(), *WALLETS)),
        *NAMED,
        *HARMLESS,
        *OPEN_HASHES,
        *MARKS,
        REDACTED,
        " ",
        "\n",
    ]
)
PIECES = st.one_of(PARTS, st.text(max_size=8))
ENCODED_PIECES = st.tuples(st.sampled_from([quote, quote_plus]), PIECES).map(lambda p: p[0](p[1]))


class TestTwice:
    @given(
        st.lists(
            st.one_of(PIECES, ENCODED_PIECES, ENCODED_PIECES.map(quote_plus)), max_size=12
        ).map("".join)
    )
    def test_is_the_same_as_once(self, text):
        once = redact(text)
        assert redact(once) == once


class TestHugeText:
    @pytest.mark.parametrize(
        "text",
        [
            "a" * 200_000,
            "=" * 200_000,
            "password=" * 20_000,
            'password="' * 20_000,
            "password=[" * 20_000,
            '"' * 200_000,
            "eyJ" * 60_000,
            "://a:" * 40_000,
            "sk-" * 60_000,
            "\\" * 200_000 + "password=",
            "password=" + "\\" * 200_000,
            '-----BEGIN PRIVATE KEY-----"' * 7_000,
            "a-" * 100_000 + "key",
            " " * 200_000 + "token=",
            "%" * 200_000,
            "%25" * 60_000,
            "%41 " * 50_000,
            "?a+" * 60_000,
            "password%3D" * 20_000,
            "%3A//a%3A" * 20_000,
            "+" * 200_000 + "password%3Dx",
            "seed " * 40_000,
            "seed (" * 40_000,
            "mnemonic: legal winner thank year " * 6_000,
            "key " + "ab" * 100_000,
            ("key " * 30 + "ab" * 32 + " ") * 1_000,
            "key " + "1. " * 60_000,
        ],
        ids=lambda text: text[:12],
    )
    def test_takes_time_linear_in_its_length(self, text):
        # Quadratic patterns take minutes here; the bound only leaves room for a busy machine.
        begun = time.process_time()
        redact(text)
        assert time.process_time() - begun < 2
