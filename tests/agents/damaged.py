"""An answer of a model, thirty and more ways in which it may be damaged, and what is left of it."""

import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, NamedTuple

COINS = ("ETH", "BTC", "BNB", "SOL", "XRP", "DOGE")
ACTIONS = {"long": "OPEN_LONG", "short": "OPEN_SHORT", "close": "CLOSE_POSITION", "hold": "HOLD"}
THOUGHT = "The account is up 1.20%. I add to strength in ETH, sell SOL and take BNB off."

# In the shape of a real answer: one of each action, three that only wait.
TOLD: dict[str, dict[str, Any]] = {
    coin: {
        "quantity": quantity,
        "stop_loss": stop,
        "signal": signal,
        "profit_target": target,
        "invalidation_condition": f"If {coin} closes below its 4-hour average",
        "justification": justification,
        "confidence": confidence,
        "leverage": leverage,
        "risk_usd": risk,
        "coin": coin,
    }
    for coin, quantity, stop, signal, target, justification, confidence, leverage, risk in (
        ("ETH", 1.5, 3710.25, "long", 4120.5, "higher lows on both frames", 0.72, 10, 250),
        ("BTC", 0.17, 107105.6, "hold", 116716.25, "", 0.75, 20, 453.89),
        ("BNB", 6.33, 1083.12, "close", 1263.64, "the trend is broken", 0.81, 10, 1285.1296),
        ("SOL", 31.62, 206.935, "short", 183.955, "fails at the old high", 0.65, 5, 242),
        ("XRP", 2303, 2.336, "hold", 2.725, "", 0.65, 10, 224.41),
        ("DOGE", 68396, 0.177039, "hold", 0.214303, "", 0.65, 10, 637.876),
    )
}


class Told(NamedTuple):
    """A decision as a careful human reads it."""

    coin: str
    action: str
    size_usd: Decimal | None
    leverage: Decimal | None
    stop_loss_price: Decimal | None
    take_profit_price: Decimal | None
    confidence: Decimal | None
    reasoning: str


def expected(told: Mapping[str, Mapping[str, Any]]) -> dict[str, Told]:
    """Return what the objects of an answer say, by hand."""
    found = {}
    for coin, row in told.items():
        opens = row["signal"] in ("long", "short")
        risk, leverage = Decimal(str(row["risk_usd"])), Decimal(row["leverage"])
        found[coin] = Told(
            coin=coin,
            action=ACTIONS[row["signal"]],
            size_usd=risk * leverage if opens else Decimal(0),
            leverage=leverage,
            stop_loss_price=Decimal(str(row["stop_loss"])) if opens else Decimal(0),
            take_profit_price=Decimal(str(row["profit_target"])) if opens else Decimal(0),
            confidence=Decimal(str(row["confidence"])),
            reasoning=row["justification"] or row["invalidation_condition"],
        )
    return found


def sample(told: Mapping[str, Mapping[str, Any]] = TOLD) -> str:
    """Return an answer with its three parts."""
    blocks = [
        f"{coin}\n{row['signal'].upper()}\n{round(row['confidence'] * 100)}%\n\n"
        f"QUANTITY: {row['quantity']}"
        for coin, row in told.items()
    ]
    body, listed = json.dumps(told, indent=2), "\n\n".join(blocks)
    return f"{THOUGHT}\n\nCHAIN_OF_THOUGHT\n{body}\n\nTRADING_DECISIONS\n{listed}\n"


# --- What the damages are made of ---------------------------------------------------------


def parts(text: str) -> tuple[str, str, str]:
    """Return what is before the object, the object, and what is after it."""
    start, end = text.index("{"), text.rindex("}") + 1
    return text[:start], text[start:end], text[end:]


def objects(text: str) -> dict[str, dict[str, Any]]:
    return json.loads(parts(text)[1])


def body(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return a damage of the object alone."""

    def damage(text: str) -> str:
        before, inside, after = parts(text)
        changed = change(inside)
        assert changed != inside, "nothing was damaged"
        return before + changed + after

    return damage


def rows(change: Callable[[dict[str, Any]], Any]) -> Callable[[str], str]:
    """Return a damage of each coin's object, written as JSON."""
    return body(
        lambda inside: json.dumps(
            {coin: change(dict(row)) for coin, row in json.loads(inside).items()}, indent=2
        )
    )


def of(coin: str, pattern: str, new: str) -> Callable[[str], str]:
    """Return a damage within the object of one coin."""

    def change(inside: str) -> str:
        start = inside.index(f'"{coin}": {{')
        end = inside.index("}", start)
        return (
            inside[:start]
            + re.sub(pattern, lambda _: new, inside[start:end], count=1)
            + inside[end:]
        )

    return body(change)


def alone(change: Callable[[str], str]) -> Callable[[str], str]:
    """Return a damage after which only the object is left, as ``change`` writes it."""
    return lambda text: change(parts(text)[1])


def both(*damages: Callable[[str], str]) -> Callable[[str], str]:
    def damage(text: str) -> str:
        for each in damages:
            text = each(text)
        return text

    return damage


def no_lines(text: str) -> str:
    return text.partition("TRADING_DECISIONS")[0].rstrip() + "\n"


def cut(mark: str, after: int) -> Callable[[str], str]:
    """Return a damage that ends the answer so many characters after the mark."""

    def damage(text: str) -> str:
        return text[: text.index(mark) + len(mark) + after]

    return damage


def lines(text: str) -> str:
    rows = (
        f"{coin}: {row['signal'].upper()} ({round(row['confidence'] * 100)}%)"
        f" - QUANTITY: {row['quantity']}"
        for coin, row in objects(text).items()
    )
    return "My decisions follow.\n\nTRADING_DECISIONS\n\n" + "\n".join(rows)


def dressed(row: dict[str, Any]) -> dict[str, Any]:
    numbers = ("stop_loss", "profit_target", "risk_usd")
    return {**row, **{name: f"${row[name]:,.6f}" for name in numbers}}


def named(form: Callable[[str], str]) -> Callable[[str], str]:
    return body(
        lambda inside: json.dumps(
            {form(coin): {**row, "coin": form(coin)} for coin, row in json.loads(inside).items()}
        )
    )


def twice(inside: str) -> str:
    """Return the object with a second BTC, which closes."""
    again = {**json.loads(inside)["BTC"], "signal": "close", "confidence": 0.9}
    return inside.rstrip()[:-1].rstrip() + f',\n  "BTC": {json.dumps(again)}\n}}'


def smart(inside: str) -> str:
    return re.sub(r'"([^"]*)"', r"“\1”", inside)


def commented(inside: str) -> str:
    inside = inside.replace('"BTC": {', '"BTC": { // the "leader", {as always}\n    # and so on')
    return inside.replace('"leverage"', '/* not "more": */ "leverage"')


# --- The damages --------------------------------------------------------------------------


class Damage(NamedTuple):
    """A damage, the coins it makes unreadable, and what it changes of others.

    Of an unreadable coin the action may still be known; None is a coin that is gone altogether.
    ``second`` makes what BTC says a second time out of what it says first. ``is_lines``: nothing
    but lines are left, which name action and confidence.
    """

    damage: Callable[[str], str]
    broken: Mapping[str, bool | None] = {}
    changed: Mapping[str, Callable[[Told], Told]] = {}
    second: Callable[[Told], Told] | None = None
    is_lines: bool = False


def by_line(told: Told) -> Told:
    """Return what a line tells of a decision."""
    size = None if told.action.startswith("OPEN") else Decimal(0)
    return told._replace(
        size_usd=size,
        leverage=None if size is None else Decimal(1),
        stop_loss_price=size,
        take_profit_price=size,
        reasoning="No reasoning provided",
    )


def reasoned(begin: str) -> Callable[[Told], Told]:
    return lambda told: told._replace(reasoning=told.reasoning.replace("If ", begin, 1))


QUOTED, BROKEN_UP = 'If the "big, red" candle says "sell", ', "If so,\n\n  and only\tif, "

DAMAGES: dict[str, Damage] = {
    # Wrapped in another way
    "fenced": Damage(body(lambda inside: f"```json\n{inside}\n```")),
    "fenced without a language": Damage(body(lambda inside: f"```\n{inside}\n```")),
    "bold headings and a fence": Damage(
        both(
            body(lambda inside: f"```json\n{inside}\n```"),
            lambda text: text.replace("CHAIN_OF_THOUGHT", "**CHAIN_OF_THOUGHT:**").replace(
                "TRADING_DECISIONS", "**TRADING_DECISIONS:**"
            ),
        )
    ),
    "headings of Markdown": Damage(
        lambda text: text.replace("CHAIN_OF_THOUGHT", "## Chain of thought").replace(
            "TRADING_DECISIONS", "## Trading decisions"
        )
    ),
    "headings that are mentioned before": Damage(
        lambda text: "First my CHAIN_OF_THOUGHT, then the TRADING_DECISIONS {as asked}.\n" + text
    ),
    "a fence that is not closed": Damage(body(lambda inside: f"```json\n{inside}")),
    "in the middle of prose": Damage(
        alone(lambda inside: f"I looked at {{all}} [6] coins. Here: {inside} That is all.")
    ),
    "with a draft that was thought aloud": Damage(
        lambda text: (
            '<think>Perhaps {"BTC": {"signal": "short", "leverage": 50}}? No.</think>\n'
            + parts(text)[1]
        )
    ),
    "an array of objects": Damage(
        alone(lambda inside: json.dumps(list(json.loads(inside).values()), indent=1))
    ),
    "below decisions": Damage(
        alone(
            lambda inside: json.dumps(
                {
                    "positions": {"BTC": {"side": "short", "leverage": 3}},
                    "prices": {"BTC": 108000.5, "ETH": 3800},
                    "action": "rebalance",
                    "decisions": json.loads(inside),
                }
            )
        )
    ),
    "a list below trading_decisions": Damage(
        alone(lambda inside: json.dumps({"trading_decisions": list(json.loads(inside).values())}))
    ),
    "each below its own heading": Damage(
        lambda text: "\n\n".join(
            f"### {coin}\n```json\n{json.dumps({**row, 'coin': None})}\n```"
            for coin, row in objects(text).items()
        )
    ),
    "within a string of JSON": Damage(lambda text: json.dumps({"content": text})),
    "braces twice": Damage(alone(lambda inside: f"{{{inside}}}")),
    "without line breaks": Damage(lambda text: re.sub(r"\s+", " ", text)),
    # Values in another dress
    "percent as text": Damage(rows(lambda row: {**row, "confidence": f"{row['confidence']:.0%}"})),
    "percent as numbers": Damage(
        rows(lambda row: {**row, "confidence": round(100 * row["confidence"])})
    ),
    "leverage with an x": Damage(rows(lambda row: {**row, "leverage": f"{row['leverage']}X"})),
    "money with signs and commas": Damage(rows(dressed)),
    "commas in bare numbers": Damage(
        body(
            lambda inside: re.sub(
                r'"(stop_loss|risk_usd)": (\d)(\d{3})\b', r'"\1": \2,\3', inside
            ).replace("107105.6", "107,105.6")
        )
    ),
    "lower-case coins": Damage(named(str.lower)),
    "pairs with a slash": Damage(named("{}/USD".format)),
    "pairs of an exchange": Damage(named("{}USDT".format)),
    "perpetuals": Damage(named("{}-PERP".format)),
    "signals in other words": Damage(
        body(
            lambda inside: (
                inside.replace('"long"', '"OPEN_LONG"')
                .replace('"short"', '"Sell to enter"')
                .replace('"close"', '"close_position"')
                .replace('"hold"', '" HOLD "')
            )
        )
    ),
    "names in camel case": Damage(
        body(
            lambda inside: (
                inside.replace('"stop_loss"', '"stopLoss"')
                .replace('"profit_target"', '"takeProfitPrice"')
                .replace('"risk_usd"', '"Risk USD"')
            )
        )
    ),
    "NaN and nothing": Damage(
        body(
            lambda inside: re.sub(r'("quantity"): [\d.]+', r"\1: NaN", inside).replace('""', "null")
        )
    ),
    # Not quite JSON
    "a dict of Python": Damage(alone(lambda inside: repr(json.loads(inside)))),
    "commas at the end": Damage(body(lambda inside: re.sub(r"\n(\s*)}", r",\n\1}", inside))),
    "comments": Damage(body(commented)),
    "names without quotes": Damage(body(lambda inside: re.sub(r'"(\w+)":', r"\1:", inside))),
    "no quotes at all": Damage(body(lambda inside: inside.replace('""', "null").replace('"', ""))),
    "typographic quotes": Damage(body(smart)),
    "Chinese punctuation": Damage(
        body(lambda inside: inside.replace('": ', '"：').replace(",\n", "，\n"))
    ),
    "line breaks in a string": Damage(
        of("BTC", '"If ', f'"{BROKEN_UP}'), changed={"BTC": reasoned(BROKEN_UP)}
    ),
    "quotes in a string": Damage(
        of("BTC", '"If ', f'"{QUOTED}'), changed={"BTC": reasoned(QUOTED)}
    ),
    "a quote that is not closed": Damage(of("XRP", '"hold",', '"hold,')),
    "a quote that is not opened": Damage(of("XRP", ': "hold",', ': hold",')),
    "a name whose quote is not closed": Damage(of("XRP", '"leverage":', '"leverage:')),
    "no comma between lines": Damage(of("BNB", ',\n    "signal"', '\n    "signal"')),
    "no comma between coins": Damage(
        body(lambda inside: inside.replace('},\n  "SOL"', '}\n  "SOL"'))
    ),
    "no colon": Damage(of("SOL", '"leverage":', '"leverage"')),
    "a brace that is not closed": Damage(
        body(lambda inside: inside.replace('},\n  "SOL"', ',\n  "SOL"'))
    ),
    "a brace that is not opened": Damage(body(lambda inside: inside.replace('"SOL": {', '"SOL":'))),
    "a brace too many": Damage(body(lambda inside: inside.replace('},\n  "SOL"', '}},\n  "SOL"'))),
    "no braces around": Damage(body(lambda inside: inside.strip()[1:-1])),
    "no braces at the end": Damage(body(lambda inside: inside.rstrip("}\n "))),
    "NUL, a byte order mark, half a pair": Damage(
        lambda text: (
            "\ufeff" + text.replace("\n", "\r\n").replace('"hold"', '"ho\x00ld"') + "\ud83d"
        )
    ),
    # Where something is lost
    "cut in the fifth object": Damage(
        cut('"XRP": {\n    "quantity": 2303,', 40), broken={"XRP": False, "DOGE": None}
    ),
    "cut in the last number": Damage(cut('"risk_usd": 637', 1), broken={"DOGE": True}),
    "cut before the last brace": Damage(cut('"coin": "DOGE"', 1), broken={"DOGE": True}),
    "an unknown signal, told in its line": Damage(
        of("XRP", '"hold"', '"moon"'), changed={"XRP": by_line}
    ),
    "no signal, told in its line": Damage(
        of("DOGE", '"signal": "hold",', ""), changed={"DOGE": by_line}
    ),
    "an unknown signal": Damage(
        both(of("XRP", '"hold"', '"moon"'), no_lines), broken={"XRP": False}
    ),
    "no signal": Damage(both(of("BTC", '"signal": "hold",', ""), no_lines), broken={"BTC": False}),
    "two signals": Damage(
        both(of("BTC", '"signal"', '"action": "long", "signal"'), no_lines), broken={"BTC": False}
    ),
    "a leverage in words": Damage(
        both(of("BTC", r'"leverage": \d+', '"leverage": "as usual"'), no_lines),
        broken={"BTC": True},
    ),
    "another coin inside": Damage(
        both(of("BTC", '"coin": "BTC"', '"coin": "ETH"'), no_lines), broken={"BTC": True}
    ),
    "a coin twice": Damage(
        body(twice),
        second=lambda told: told._replace(action="CLOSE_POSITION", confidence=Decimal("0.9")),
    ),
    # No object
    "blocks of lines": Damage(
        lambda text: "TRADING_DECISIONS" + text.partition("TRADING_DECISIONS")[2], is_lines=True
    ),
    "lines": Damage(lines, is_lines=True),
}
