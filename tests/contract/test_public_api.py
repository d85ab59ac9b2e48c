"""The public API changes only on purpose: it equals the page that is checked in beside this file.

A change that is meant is written down by ``make public-api``; the difference of the page is what
it does to the programs outside.
"""

import json
import os
from pathlib import Path

import msgspec

from tests.contract import registry

PAGE = Path(__file__).with_name("public_api.json")


def described():
    """Return address → methods, columns, filters, orderings, body of everything that is served."""
    page = {}
    for endpoint in registry.endpoints():
        view, methods = endpoint.view, endpoint.methods
        known = {"methods": methods}
        if endpoint.is_list:
            known["columns"] = list(view.fields)
            known["filters"] = sorted(view.query_parameters())
            known["orderings"] = list(view.ordering_fields)
        if hasattr(view, "row") and {"POST", "PUT"} & set(methods):
            fields = msgspec.structs.fields(view.row)
            known["body"] = [f.name if f.required else f"{f.name}?" for f in fields]
        page[endpoint.path] = known
    return page


def test_is_the_one_that_is_written_down():
    now = json.dumps(described(), indent=2, sort_keys=True) + "\n"
    if os.environ.get("REWRITE_PUBLIC_API"):
        PAGE.write_text(now)

    assert now == PAGE.read_text(), "The public API changed; if that is meant: make public-api"
