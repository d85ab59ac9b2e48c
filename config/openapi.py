"""What stands around the endpoints in the API's own documentation."""

from typing import Any

DESCRIPTION = """
Report into Blotter and read from it. JSON in, JSON out; every refusal is
`application/problem+json` (RFC 9457) with a stable `code` and, where a field is at fault,
`errors` that point at it.

**Who you are.** `Authorization: Bearer <key>`, or HTTP Basic with the key as password under any
name (`curl -u any:<key>`). Keys are given out by staff. A key carries scopes, `<app>:read` and
`<app>:write`; write does not include read. `agents:prompts` opens, beside `agents:read`, what
models were asked and answered: such fields are in no answer unless `fields=` names them. A key may
be bound to one bot or agent: then nothing of another one can be read or written through it.

**Safe to retry.** Every thing has a key that the client chooses. Sent again unchanged it is
`unchanged`; with other content it is refused with 409, naming the fields that differ. With an
`Idempotency-Key` header any POST can be repeated for 24 hours and gets its first answer again,
marked `Idempotent-Replay: true`. Lines of logs have no key: what is sent twice stands twice
unless such a header says it is the same. 2xx is sent after the commit, never before.

**One or many.** A POST takes one object or a list. Of a list the valid rows are stored and the
others named by their place; `atomic=1` stores all or none.

**Lists** are pages: follow `next`, ask for up to 1,000 rows with `limit`, thin the rows with
`fields=`, turn the order round with `ordering=`. Filters stand beside each list; a parameter
that is not known is refused.

**Values.** Decimals are strings in answers and may be strings or numbers in requests; they are
never rounded. Times are RFC 3339 with an offset; answers are in UTC.

**Logs.** Python's own `logging.handlers.HTTPHandler` posts to `logs/records/` as it is
(`method="POST", credentials=("any", key)`). Messages and tracebacks are taken whatever they hold;
secrets in them are redacted before they are stored.

`X-Request-ID` is taken over when sent, always returned, and names the request in our logs.
"""

SPECTACULAR_SETTINGS: dict[str, Any] = {
    "TITLE": "Blotter",
    "VERSION": "1",
    "DESCRIPTION": DESCRIPTION.strip(),
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1/",
    # Vocabularies stay where they stand: names made up for them change with every new field.
    "POSTPROCESSING_HOOKS": [],
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {
        "deepLinking": True,
        "docExpansion": "list",
        "defaultModelsExpandDepth": 0,
        # The badge would send the schema's address to somebody else's server.
        "validatorUrl": None,
    },
    "APPEND_COMPONENTS": {
        "securitySchemes": {
            "key": {
                "type": "http",
                "scheme": "bearer",
                "description": "An API key: blt_…",
            },
            "session": {
                "type": "apiKey",
                "in": "cookie",
                "name": "sessionid",
                "description": "The session of the admin; whatever writes needs X-CSRFToken.",
            },
        }
    },
}
