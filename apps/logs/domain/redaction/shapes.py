"""Secrets known by their shape: vendors' keys, JWT, PEM, a password inside an address."""

import base64
import binascii
import re
from collections.abc import Callable, Iterator

from apps.logs.domain.redaction.names import KEY_NAME, REDACTED

# The bot tokens of Discord begin with an account number in base64, which nothing else gives away.
DISCORD_START = re.compile(r"[MNO][DTjz][AEIMQUYcgk][w-z0-5]")
# Where a key may begin: not inside a word, but right after \n in JSON.
EDGE = r"(?:(?<![A-Za-z0-9])|(?<=\\[nrt]))"
Replacement = str | Callable[[re.Match[str]], str]


def _with_digit(match: re.Match[str]) -> str:
    """Hide what is no chain of words such as sk-learn-pipeline-with-scaling."""
    return REDACTED if any(map(str.isdigit, match[0])) else match[0]


def _jwt(match: re.Match[str]) -> str:
    # One part alone is a piece of base64 JSON; a token has at least a header and claims.
    return REDACTED if "." in match[0] and len(match[0]) >= 12 else match[0]


def _bearer(match: re.Match[str]) -> str:
    """Hide a credential after its scheme, unless prose goes on: "bearer authentication failed"."""
    value = match["value"]
    inner = value[1:].rstrip(".,;:")
    random = any(map(str.isdigit, value)) or (len(value) >= 8 and inner.lower() != inner)
    if not random or KEY_NAME.fullmatch(value):
        return match[0]
    return match["scheme"] + REDACTED


def _basic(match: re.Match[str]) -> str:
    value = match["value"].rstrip("=")
    try:
        plain = base64.b64decode(value[: len(value) // 4 * 4], validate=True)
    except (binascii.Error, ValueError):
        return match[0]
    return match["scheme"] + REDACTED if b":" in plain or match["value"][-1] == "=" else match[0]


def _shape(pattern: str, flags: int = 0) -> re.Pattern[str]:
    return re.compile(pattern, re.ASCII | flags)


# (what lower-cased text has for certain, the shape, what takes its place)
SHAPES: tuple[tuple[str, re.Pattern[str], Replacement], ...] = (
    ("blt_", _shape(r"(blt_[a-z0-9]{8}_)[0-9a-fA-F]{4,}+", re.IGNORECASE), rf"\1{REDACTED}"),
    ("eyj", _shape(r"eyJ[\w\-]++(?:\.[\w\-]*+)*+"), _jwt),
    (
        "bearer",
        _shape(EDGE + r"(?P<scheme>bearer[ \t:]{1,4})(?P<value>[\w.~+/=\-]{6,}+)", re.IGNORECASE),
        _bearer,
    ),
    (
        "basic ",
        _shape(
            EDGE + r"(?P<scheme>basic[ \t]{1,4})(?P<value>[A-Za-z0-9+/]{8,}+={0,2})", re.IGNORECASE
        ),
        _basic,
    ),
    ("akia", _shape(EDGE + r"AKIA[A-Z0-9]{10,}+"), REDACTED),
    ("asia", _shape(EDGE + r"ASIA[A-Z0-9]{10,}+"), REDACTED),
    ("sk-", _shape(EDGE + r"sk-[\w\-]{16,}+"), _with_digit),
    ("_live_", _shape(EDGE + r"(?:sk|rk|pk)_live_\w{8,}+"), REDACTED),
    ("_test_", _shape(EDGE + r"(?:sk|rk|pk)_test_\w{8,}+"), _with_digit),
    ("whsec_", _shape(r"whsec_[\w+/=]{10,}+"), REDACTED),
    ("gh", _shape(EDGE + r"gh[opsur]_[A-Za-z0-9]{16,}+"), REDACTED),
    ("_pat_", _shape(r"github_pat_\w{16,}+"), REDACTED),
    ("glpat-", _shape(r"glpat-[\w\-.]{12,}+"), REDACTED),
    ("xox", _shape(EDGE + r"xox[a-z]-[\w\-]{10,}+"), REDACTED),
    ("xapp-", _shape(r"xapp-[\w\-]{10,}+"), REDACTED),
    ("hooks.slack", _shape(r"(hooks\.slack\.com/[a-z]{1,20}/)[\w/\-]{10,}+"), rf"\1{REDACTED}"),
    ("webhooks/", _shape(r"(/webhooks/[0-9]{5,25}/)[\w\-]{16,}+"), rf"\1{REDACTED}"),
    ("aiza", _shape(EDGE + r"AIza[\w\-]{30,}+"), REDACTED),
    ("ya29.", _shape(r"ya29\.[\w.\-]{16,}+"), REDACTED),
    (":aa", _shape(r"(?<![0-9])([0-9]{6,12}:)AA[\w\-]{28,}+"), rf"\1{REDACTED}"),
    ("npm_", _shape(EDGE + r"npm_[A-Za-z0-9]{30,}+"), REDACTED),
    ("hf_", _shape(EDGE + r"hf_[A-Za-z0-9]{30,}+"), REDACTED),
    ("sg.", _shape(EDGE + r"SG\.[\w\-]{16,}+\.[\w\-]{16,}+"), REDACTED),
    ("xprv", _shape(EDGE + r"xprv[1-9A-HJ-NP-Za-km-z]{60,}+"), REDACTED),
)
DISCORD = _shape(
    EDGE + r"[MNO][DTjz][AEIMQUYcgk][w-z0-5][\w\-]{16,24}+\.[\w\-]{5,7}+\.[\w\-]{24,40}+"
)
PEM_BEGIN = re.compile(r"-----BEGIN[A-Z0-9 +]{0,40}PRIVATE[ +]KEY[A-Z +]{0,20}")
PEM_REST = re.compile(r"[^\"']*+")
ADDRESS_USER = re.compile(
    r"://(?:(?P<alone>[\w\-]{20,}+)@"
    r"|(?P<user>[^\s/?#@:\"'<>\[\],]{0,200}+):"
    r"(?![0-9]{1,5}(?:[/?#\s\"',;)\]}>]|\Z)))"
)
AUTHORITY = re.compile(r"[^\s/?#\"'<>]{0,1000}+")
ADDRESS_REACH = 300
ADDRESS_TOKEN = re.compile(r"[^\s\"'<>]{0,300}+")


def without_shaped(text: str) -> str:
    """Return the text without what looks like a secret, whatever stands before it."""
    lowered = text.lower()
    if "-----begin" in lowered:
        text = _without_spans(text, _private_key_spans(text))
    if "://" in text:
        text = _without_spans(text, _address_spans(text))
    for hint, pattern, replacement in SHAPES:
        if hint in lowered:
            text = pattern.sub(replacement, text)
    return DISCORD.sub(REDACTED, text) if DISCORD_START.search(text) else text


def _without_spans(text: str, spans: Iterator[tuple[int, int]]) -> str:
    pieces: list[str] = []
    kept_to = 0
    for start, end in spans:
        pieces += (text[kept_to:start], REDACTED)
        kept_to = end
    return "".join((*pieces, text[kept_to:])) if pieces else text


def _private_key_spans(text: str) -> Iterator[tuple[int, int]]:
    last_end = text.rfind("-----END")
    position = 0
    while begin := PEM_BEGIN.search(text, position):
        end = -1
        if last_end >= begin.end():
            marker = text.find("-----END", begin.end()) + len("-----END")
            end = text.find("-----", marker, marker + 60)
            end = marker if end < 0 else end + 5
        else:
            # Cut off: all that follows is key, up to the quote that held it.
            end = PEM_REST.match(text, begin.end()).end()  # type: ignore[union-attr]
        yield begin.start(), end
        position = end


def _address_spans(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    while match := ADDRESS_USER.search(text, position):
        position = start = match.end()
        if match["alone"]:
            yield match.span("alone")
            continue
        authority = AUTHORITY.match(text, start).end()  # type: ignore[union-attr]
        end = text.rfind("@", start, authority)
        if end < 0:
            # A password with a slash that should have been encoded, or an address cut off.
            reach = ADDRESS_TOKEN.match(text, start).end()  # type: ignore[union-attr]
            end = text.rfind("@", start, reach)
            if (
                end < 0
                and text[authority : authority + 1] in ("", "\n")
                and authority - start < ADDRESS_REACH
            ):
                end = authority
        if end > start:
            position = end
            if text[start:end] != REDACTED:
                yield start, end
