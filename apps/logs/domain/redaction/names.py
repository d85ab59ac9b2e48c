"""Which names say that a secret follows, and which values under them tell nothing."""

import re
from functools import lru_cache
from itertools import pairwise

REDACTED = "[redacted]"
LONGEST_NAME = 200

# The words that a secret's name is made of.
KEYWORD = re.compile(
    r"p(?:ass|wd|hrase|in)|s(?:e(?:cret|ed|ss|curity[ _\-]?code)|ig(?:nat|(?![a-z]))|ms[ _\-]?code)"
    r"|token|key|auth|c(?:red|ookie|v[cv])|otp|jwt|b(?:earer|ackup[ _\-]?code)|m(?:nemonic|fa)"
    r"|2fa|verification|recovery|\.sid"
)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
# password_length=12, token_type=bearer, signature_valid=true tell nothing.
HARMLESS_ENDINGS = _words(
    """
    count counts valid validity validation verified verify ok changed change changes length
    len size type types name names usage used use limit limits budget expires expiry expired
    expiration expire ttl age max min url uri path file filename dir required missing enabled
    disabled present status state error errors reset field fields policy domain secure
    httponly samesite address symbol id ids version algorithm alg algo method provider manager
    store storage rotation rotated created updated at date time timestamp in out per cost
    costs price prices details detail rate rates total index format bar bars created_at a b
    amount decimals balance pair pairs contract class model backend middleware handler service
    length seconds minutes hours days ms percent strength attempts retries failures failed
    rejected accepted refreshed sent view form schema permission mode consent banner jar
    """
)
KEY_OWNERS = _words(
    """
    api access private priv secret encryption encrypt decryption signing sign signature master
    auth authorization consumer account shared storage service client ssh hmac aes rsa ecdsa
    ed25519 webhook license licence subscription app application session wallet mbx trading
    trade deploy user exchange broker bearer vault root admin pem ssl tls cert binance kraken
    coinbase bybit okx alpaca openai anthropic stripe sentry sendgrid telegram discord slack
    github aws gcp azure finnhub polygon
    """
)
GLUED_KEYS = re.compile(
    r"(?:api|access|private|priv|secret|auth|account|master|session|client|encryption|signing|ssh"
    r"|consumer|license|shared|wallet)keys?$"
)
TOKEN_OWNERS = _words(
    """
    access refresh auth api bearer session secret id csrf reset bot user device push oauth
    """
)
# Crypto: the base token of a pair is a currency.
CURRENCY_TOKENS = _words(
    """
    base quote sell buy reward governance lp native
    """
)
PASSWORDS = ("password", "passwd", "passcode", "passwort", "pwd")
SECRET_CODES = _words(
    """
    otp totp hotp pin cvv cvc jwt bearer
    """
)
CODE_OWNERS = _words(
    """
    pin otp totp verification auth security backup recovery mfa 2fa twofactor factor sms
    """
)
PHRASE_OWNERS = _words(
    """
    seed recovery backup mnemonic secret wallet
    """
)
SINGLE_TOKENS = re.compile(r"(?i)token_?[01]")


def rule_of(name: str) -> str:
    """Say how the value under a name is hidden; '' when the name does not say secret.

    ``value`` one value · ``unless number`` a value that is no number · ``unless ticker`` one that
    names no currency · ``looks`` only what looks random · ``header`` a header's whole line ·
    ``line`` what is left of the line after a colon · ``words`` what is left of the line.
    """
    # The last part tells what it is, also in a name of absurd length.
    return _rule_of(name if len(name) <= LONGEST_NAME else name[-LONGEST_NAME:])


@lru_cache(maxsize=4096)
def _rule_of(name: str) -> str:
    if not KEYWORD.search(name.lower()) or SINGLE_TOKENS.fullmatch(name):
        return ""
    words = [word.lower() for word in WORD.findall(name)]
    while words and words[-1].isdigit():
        words.pop()
    if not words:
        return ""
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    pairs = set(pairwise(words))
    if ("session", "id") in pairs or any(w.endswith(("sessid", "sessionid")) for w in words):
        return "value"
    if ("connect", "sid") in pairs:
        return "value"
    if _names_a_key([w for w in words if w != "v" and not w.isdigit()]):
        # An id of a key may be a row's number, or half of the credentials.
        if last == "id":
            return "unless number"
        return "" if last in HARMLESS_ENDINGS else "value"
    if last in ("code", "codes"):
        return "value" if before in CODE_OWNERS else ""
    if last in HARMLESS_ENDINGS:
        return ""
    return _rule_of_words(words, last, before)


def _names_a_key(words: list[str]) -> bool:
    return any(
        GLUED_KEYS.search(word)
        or (word in ("key", "keys") and position and words[position - 1] in KEY_OWNERS)
        for position, word in enumerate(words)
    )


def _rule_of_words(words: list[str], last: str, before: str) -> str:
    joined = "".join(words)
    if "mnemonic" in joined or (last in ("phrase", "words", "phrases") and before in PHRASE_OWNERS):
        return "words"
    if joined.endswith(("seedphrase", "seedwords", "recoveryphrase")):
        return "words"
    if "passphrase" in joined:
        return "line"
    if "authori" in joined and "authorit" not in joined and "unauthori" not in joined:
        return "header"
    if any(word in ("cookie", "cookies") or word.endswith("cookie") for word in words):
        return "header"
    if any(part in joined for part in PASSWORDS) or last in SECRET_CODES:
        return "value"
    if any("secret" in word and not word.startswith("secretar") for word in words):
        return "value"
    if words == ["token"]:
        # Who trades says "token: BTC", and of it "up".
        return "unless ticker"
    if any(word.endswith("token") for word in words):
        return "" if before in CURRENCY_TOKENS else "value"
    if last.endswith("tokens"):
        return "unless number" if before in TOKEN_OWNERS else ""
    if any(word in ("signature", "signatures", "sig") or "credential" in word for word in words):
        return "value"
    if last in ("cred", "creds"):
        return "value"
    if last in ("pass", "seed"):
        return "unless number"
    return "looks" if last == "auth" else ""


KEPT = _words(
    """
    true false none null nil undefined nan yes no on off unset missing empty str bytes int
    string
    """
)
TICKER = re.compile(r"k?[A-Z]{2,6}|[a-z]{1,3}")
NUMBER = re.compile(r"[+-]?[0-9][0-9_.,]*(?:[eE][+-]?[0-9]+)?%?")
# What our own keys are called; the secret part follows after another underscore.
KEY_NAME = re.compile(r"blt_[a-z0-9]{8}(?:_\[redacted\])?")


def harmless(value: str, rule: str) -> bool:
    """Say whether a value under a secret name tells nothing, or is hidden already."""
    if not value or value == REDACTED or value.lower() in KEPT or KEY_NAME.fullmatch(value):
        return True
    if rule == "unless number":
        return NUMBER.fullmatch(value) is not None
    if rule == "unless ticker":
        return TICKER.fullmatch(value) is not None or not value.strip()
    if rule == "looks":
        return len(value) < 16 and not (any(map(str.isdigit, value)) or value[0] in "([{")
    return not value.strip()
