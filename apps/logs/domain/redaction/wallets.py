"""Secrets of wallets: private keys, and the words that make one, by what stands beside them.

A private key looks like the hash of a transaction: 64 hexadecimal digits. So it is the nearest
word before it that tells, and what nobody names is left. Addresses are shorter than keys.
"""

import re
from collections.abc import Iterator

from apps.logs.domain.redaction.names import REDACTED
from apps.logs.domain.redaction.shapes import EDGE

# So many characters before a key may hold the word that names it.
REACH = 100
BASE58 = "[1-9A-HJ-NP-Za-km-z]"
# Ethereum and Hyperliquid; Bitcoin's import format; Solana.
KEY = re.compile(
    EDGE + rf"(?:(?:0[xX])?[0-9a-fA-F]{{64}}|[5KL9c]{BASE58}{{50,51}}|{BASE58}{{86,88}})"
    r"(?![A-Za-z0-9])"
)
# What any of them needs: found missing in a third of the time.
LONG = re.compile(r"[0-9A-Za-z]{51}")
# In lower case. What is named otherwise comes first, for "public key" ends like a key.
NAMING = re.compile(
    r"(?P<other>(?:public|pub|verif\w{1,10}|idempotency|primary|foreign|cache|dedupe|sort|row|unique"
    r"|partition|lookup|storage|object|group|order|trade|event|message|routing|dict|json)"
    r"[ _\-]{0,2}keys?(?![a-z])"
    r"|hash\w{0,10}|tx\w{0,10}|transactions?|block\w{0,10}|digest|sha[ _\-]?[0-9]{1,3}|checksum"
    r"|address\w{0,3}|fingerprint|commit|root|version|signature|topic|proof|contract|c?l?oid)"
    r"|(?P<secret>priv(?![a-z])|private|privkey|secret|signer|signing|seed|(?<![a-z])wif(?![a-z])"
    r"|key[ _\-]?pairs?|keys?(?![a-z])|(?<![a-z])pk(?![a-z]))"
)
# "0x… is my private key"
CALLED_SO = re.compile(
    r"[\"'`)]{0,2}[ \t]{0,4}(?:\(|is|=|<?-{1,3})[ \t]{0,4}(?:[a-z]{1,8}[ \t]){0,3}"
    r"(?:private|secret|priv|signing|wallet)[ _\-]?key"
)
PHRASE_NAME = re.compile(
    r"mnemonic|passphrase|(?<![a-z])seed(?:[ _\-]?(?:phrase|words?))?"
    r"|(?:recovery|backup|secret|wallet)[ _\-]?(?:phrase|words?|seed)"
)
# No name of a phrase is without one of these, and plain texts are searched many times faster.
PHRASE_HINTS = ("mnemonic", "phrase", "seed", "word")
WORD = r"(?:\(?[0-9]{1,2}[.):][ \t]{0,4})?[A-Za-z][a-z]{2,7}"
BETWEEN = (
    r"(?:[ \t]{0,4}[,;|][ \t]{0,4}(?:\r?\n[ \t]{0,8})?|[ \t]{1,4}|[ \t]{0,4}\r?\n[ \t]{0,8}|\\n)"
)
# The words of such a phrase have three to eight letters, and there are at least twelve of them;
# the first may have been found by its name.
PHRASE = re.compile(
    r"[^\w\n]{0,8}(?:(?:phrase|words?|is|are|was)[^\w\n]{1,8}){0,2}(?:\([^()\n]{0,40}\)[^\w\n]{0,8})?"
    rf"(?:\r?\n[ \t]{{0,8}}){{0,2}}[\"'`]{{0,3}}(?:{re.escape(REDACTED)}[ \t]{{1,4}})?"
    rf"(?P<words>{WORD}(?:{BETWEEN}{WORD}){{10,23}})(?![A-Za-z])"
)


def without_wallets(text: str) -> str:
    """Return the text without private keys and phrases that something beside them names."""
    lowered = text.lower()
    if len(lowered) != len(text):
        # Places are those of the text; a letter that changes its length names nothing.
        lowered = "".join(low if len(low := char.lower()) == 1 else char for char in text)
    spans = sorted((*_keys(text, lowered), *_phrases(text, lowered)))
    pieces: list[str] = []
    kept_to = 0
    for start, end in spans:
        if start >= kept_to:
            pieces += (text[kept_to:start], REDACTED)
            kept_to = end
    return "".join((*pieces, text[kept_to:])) if pieces else text


def is_named_key(name: str, value: str) -> bool:
    """Tell whether a value is a private key under a name that says so, such as ``wallet_key``."""
    return len(value) <= REACH and bool(KEY.fullmatch(value)) and _names_secret(name.lower())


def _keys(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    if not LONG.search(text) or not NAMING.search(lowered):
        return
    for match in KEY.finditer(text):
        start, end = match.span()
        before = lowered[max(0, start - REACH) : start].rpartition("\n\n")[2]
        if _names_secret(before) or CALLED_SO.match(lowered, end):
            yield start, end


def _names_secret(before: str) -> bool:
    """Tell whether the last word that names anything names a secret."""
    found = [match["secret"] for match in NAMING.finditer(before)]
    return bool(found and found[-1])


def _phrases(text: str, lowered: str) -> Iterator[tuple[int, int]]:
    if not any(hint in lowered for hint in PHRASE_HINTS):
        return
    position = 0
    while name := PHRASE_NAME.search(lowered, position):
        position = name.end()
        if found := PHRASE.match(text, position):
            yield found.span("words")
            position = found.end()
