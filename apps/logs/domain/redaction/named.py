"""Secrets in free text by the name before them: ``password=…``, ``"api_key": "…"``, prose."""

import re
import string

from apps.logs.domain.redaction.names import (
    KEY_NAME,
    KEYWORD,
    LONGEST_NAME,
    REDACTED,
    harmless,
    rule_of,
)

# How far a bracket after a secret name is followed until it closes.
BRACKET_REACH = 20_000
ASCII_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")

# Terminals color names and values apart: \x1b[36mpassword\x1b[0m=\x1b[35m…; Markdown: **password:**
GAP = r"(?:[ \t\u00a0]|\*\*|\x1b\[[0-9;]*+m)*+"
NAMED = re.compile(
    r"(?:"
    r"(?P<name>[\w\-][\w.\-]*+(?:[ ](?i:keys?|id|phrase|words|codes?|secret)\b){0,2})"
    r"(?P<closed>(?:\\*+[\"'`\]*\u2019\u201d]){0,3}+)" + GAP + r"(?P<mark>"
    r":[ \t]*+(?:str|bytes|string|SecretStr|Final|Optional\[str\]|str \| None)[ \t]*+=(?!=)"
    r"|=>|:=|={1,3}+|:(?!:)|[\uff1a\uff1d]|>"
    r"|,\s{0,4}+\\*+[\"']value\\*+[\"']\s{0,4}+:"
    r"|,(?=\s{0,4}+b?\\*+[\"'])"
    r")"
    r"|(?P<flag>--?[A-Za-z][\w.\-]*+)(?:[\"'],\s{0,4}+|[ \t]++)(?!-)"
    r")" + GAP + r"(?:\r?\n[ \t]*+(?=[\"']))?",
    re.ASCII,
)
OPENING = re.compile(r"(?:[bBrRuUfF]{1,2}(?=\\*[\"']))?(?P<slashes>\\*)(?P<quote>[\"'`])")
QUOTE_RUN = re.compile(r"(\\*+)([\"'`])")
BRACKET_TOKEN = re.compile(r"[\[\](){}\"'\\]")
# A value without quotes ends at white space, and at a mark only where something new begins.
STOP = (
    r"\\{0,8}[\"'`](?=[\s,;:)\]}>&|\\]|\Z)"
    r"|&(?:amp;)?(?=[\w.\-\[\]%]{1,64}+=|\Z|\s)"
    r"|;(?=\s|\Z|[\w.\-]{1,64}+=)"
    r"|,(?=\s|\Z|[\"'\\{\[(]|[\w.\-]{1,64}+[=:])"
    r"|</"
    r"|\|(?=\s|\Z|[\w.\-]{1,64}+[=:])"
)
NAME_LETTERS = string.ascii_letters + string.digits + "_.-"
BARE = re.compile(rf"(?:[^\s\x1b\"'`&;,<|\\]|(?!{STOP})[\"'`&;,<|\\])*+", re.ASCII)
COOKIES_ON = re.compile(r"(?:;[ ]?[\w.\-]{1,64}+=[^\s;\"']*+)*+", re.ASCII)
SCHEME = re.compile(
    r"(?P<one>Bearer|Basic|Token|ApiKey|Api-Key|JWT|Key)?"
    r"(?P<more>Digest|Negotiate|NTLM|Hawk|OAuth|AWS4-HMAC-SHA256|Signature|SharedKey(?:Lite)?"
    r"|GoogleLogin|MAC)?[ \t]++",
    re.IGNORECASE,
)
ESCAPED_LETTERS = "nrt"
# "API key: …", "session id: …": the word that counts stands before.
LOOK_BACK = frozenset(["key", "keys", "id", "phrase", "words", "code", "codes", "secret"])
WORDS_BEFORE = re.compile(r"(?:[A-Za-z0-9]{1,20}[ ]){1,3}\Z")


def without_named(text: str) -> str:
    """Return the text without what stands after a name that says secret."""
    lowered = text.lower()
    if len(lowered) != len(text):
        lowered = text.translate(ASCII_LOWER)
    pieces: list[str] = []
    kept_to = position = 0
    line_end = -1
    while keyword := KEYWORD.search(lowered, position):
        start = _name_start(text, keyword.start(), position)
        match = NAMED.match(text, start)
        if match is None:
            position = max(keyword.end(), start)
            spoken = SPOKEN.match(text, start)
            if spoken is None:
                continue
            position = max(position, spoken.end("name"))
            start, end = _spoken_span(text, spoken)
        else:
            position = max(keyword.end(), match.end("mark"), match.end("flag"))
            rule = _rule_at(text, match)
            if not rule:
                continue
            position = match.end()
            if line_end < position:
                line_end = text.find("\n", position)
                line_end = len(text) if line_end < 0 else line_end
            start, end = _value_span(text, match, rule, line_end)
            if end <= start or harmless(text[start:end], rule):
                continue
        if end > start:
            pieces += (text[kept_to:start], REDACTED)
            kept_to = position = end
    return "".join((*pieces, text[kept_to:])) if pieces else text


def _name_start(text: str, inside: int, floor: int) -> int:
    """Return where the name begins that a keyword was found in."""
    before = text[max(floor, inside - LONGEST_NAME) : inside]
    start = inside - len(before) + len(before.rstrip(NAME_LETTERS))
    while text[start] == "." and start < inside:
        start += 1
    return start


def _rule_at(text: str, match: re.Match[str]) -> str:
    if match["flag"]:
        return rule_of(match["flag"])
    name, mark, start = match["name"], match["mark"], match.start()
    before = text[start - 1] if start else ""
    if mark == ">" and before != "<":
        return ""
    if mark[0] == "," and not match["closed"]:
        return ""
    # ["--password", "…"] or ("Authorization", "…"): a pair in round brackets, also of bytes.
    if (
        mark == ","
        and name[0] != "-"
        and not text[max(0, start - 4) : start].rstrip("\\\"'bB").endswith("(")
    ):
        return ""
    return _rule_in_text(text, name, start)


def _rule_in_text(text: str, name: str, start: int) -> str:
    before = text[start - 1] if start else ""
    if before == "\\" and name[0] in ESCAPED_LETTERS and (rule := rule_of(name[1:])):
        return rule
    if (
        before == " "
        and name.partition(" ")[0].lower() in LOOK_BACK
        and (words := WORDS_BEFORE.search(text, max(0, start - 63), start))
    ):
        return rule_of(f"{words[0]}{name}")
    return rule_of(name)


def _value_span(text: str, match: re.Match[str], rule: str, line_end: int) -> tuple[int, int]:
    """Return where the secret after a name begins and ends; equal when there is none."""
    start = match.end()
    if opening := OPENING.match(text, start):
        return _quoted_span(text, opening, line_end)
    mark = match["mark"] or " "
    if mark == ">":
        end = text.find("<", start, line_end)
        return start, line_end if end < 0 else end
    if text.startswith(REDACTED, start):
        end = start + len(REDACTED)
        if end == line_end or text[end] in " \t,;&)]}\"'\\<\x1b":
            return start, start
    elif text[start : start + 1] in ("{", "[", "("):
        return start, _bracket_end(text, start)
    if rule == "words" or (mark == ":" and rule in ("header", "line")):
        return _line_span(text, match, rule, line_end)
    end = _bare_end(text, start)
    if rule == "header" and end > start:
        end = COOKIES_ON.match(text, end).end()  # type: ignore[union-attr]  # matches always
    return start, end


def _bare_end(text: str, start: int) -> int:
    end = BARE.match(text, start).end()  # type: ignore[union-attr]  # it matches the empty text
    while end > start and text[end - 1] in ",;.)]}>\"'`\\":
        end -= 1
    return end


def _line_span(text: str, match: re.Match[str], rule: str, line_end: int) -> tuple[int, int]:
    start, end = match.end(), line_end
    name_at = match.start()
    if name_at and (quote := text[name_at - 1]) in "\"'`":
        # curl -H 'Authorization: …' https://…: the quote before the name ends the header.
        found = text.find(quote, start, end)
        end = end if found < 0 else found
        while end > start and text[end - 1] == "\\":
            end -= 1
    scheme = SCHEME.match(text, start, end) if rule == "header" else None
    if scheme and (scheme["one"] or scheme["more"]):
        start = scheme.end()
        if text.startswith(REDACTED, start) and scheme["one"]:
            return start, start
        if scheme["one"]:
            end = min(end, _bare_end(text, start))
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _quoted_span(text: str, opening: re.Match[str], line_end: int) -> tuple[int, int]:
    """Follow a quoted text to its end; one that never closes was cut off, and is all secret."""
    start, depth, quote = opening.end(), len(opening["slashes"]), opening["quote"]
    if not depth:
        run = start
        while text[run : run + 1] == quote and run < start + 2:
            run += 1
        following = text[run : run + 1]
        # CSV doubles quotes, Python triples them.
        if run > start and (run == start + 2 or following.isalnum()):
            end = text.find(quote * (run - start + 1), run, line_end)
            return run, line_end if end < 0 else end
    doubled = -1
    for found in QUOTE_RUN.finditer(text, start, line_end):
        slashes = len(found[1])
        if found[2] != quote or found.end() == doubled:
            continue
        # Within JSON within JSON a quote is as deep as the backslashes before it say.
        if slashes < depth or (slashes - depth) % (2 * (depth + 1)) == 0:
            if not depth and text.startswith(quote, found.end(), line_end):
                # SQL writes a quote within quotes twice.
                doubled = found.end() + 1
                continue
            return start, found.end() - 1 - min(slashes, depth)
    return start, line_end


def _bracket_end(text: str, start: int) -> int:
    limit = min(len(text), start + BRACKET_REACH)
    level = 0
    inside = ""
    escaped = -1
    for token in BRACKET_TOKEN.finditer(text, start, limit):
        char, at = token[0], token.start()
        if at == escaped:
            continue
        if char == "\\":
            escaped = at + 1
        elif inside:
            inside = "" if char == inside else inside
        elif char in "\"'":
            inside = char
        elif char in "[({":
            level += 1
        else:
            level -= 1
            if not level:
                return token.end()
    return limit


# "the password is …", "password …": prose, so only what does not read like a word.
SPOKEN = re.compile(
    r"(?P<name>[\w\-][\w.\-]*+(?:[ ](?i:keys?|id|phrase|words|codes?|secret)\b){0,2})"
    r"[\"']?[ \t]{1,8}(?P<is>(?:is|was)[ \t]{0,4}:?[ \t]{1,4})?",
    re.ASCII,
)
SPOKEN_RULES = ("value", "unless ticker", "words", "line")
SPOKEN_VALUE = re.compile(r"([\"'`]?)(\S++)")
ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def _spoken_span(text: str, match: re.Match[str]) -> tuple[int, int]:
    start = match.end()
    rule = _rule_in_text(text, match["name"], match.start())
    value = SPOKEN_VALUE.match(text, start)
    if rule not in SPOKEN_RULES or not value:
        return start, start
    if rule == "words":
        line = text[start : start + 2000].partition("\n")[0].rstrip()
        if len(line.split()) >= 11:
            return start, start + len(line)
    word = value[2].rstrip(".,;:)!?\"'`]}")
    name = match["name"].lower()
    digits = any(map(str.isdigit, word))
    if match["is"] and value[1]:
        secret = word != REDACTED.rstrip("]")
    elif match["is"]:
        secret = digits and len(word) >= 4
    else:
        # "token 721 minted": a number alone may be anything.
        letters = any(map(str.isalpha, word)) or not name.endswith(("token", "signature", "id"))
        secret = digits and letters and len(word) >= (4 if name in ("pin", "otp") else 6)
        secret = secret and not any(mark in word for mark in "=:/")
    if not secret or KEY_NAME.fullmatch(word) or ADDRESS.fullmatch(word):
        return start, start
    return value.start(2), value.start(2) + len(word)
