"""In what form a GraphQL caller wants its answer, by `Accept` (GraphQL over HTTP §5.2)."""

from __future__ import annotations

from typing import Final

from polywire.http.text_cache import text_cached
from polywire.protocols.rest.negotiation import EVENT_STREAM, weight

JSON: Final = "application/json"
RESPONSE: Final = "application/graphql-response+json"
HTML: Final = "text/html"
_ONLY_BY_NAME: Final = (EVENT_STREAM, HTML)
"""Those who want one name it; `*/*` means JSON."""


@text_cached
def accepted_forms(accept: str) -> tuple[str, ...]:
    """What the caller takes, the preferred first; of equals `application/graphql-response+json` where it is named."""
    named = accept.lower()
    forms = (RESPONSE, JSON, EVENT_STREAM, HTML) if RESPONSE in named else (JSON, RESPONSE, EVENT_STREAM, HTML)
    wanted = {form: weight(accept, form) for form in forms if form not in _ONLY_BY_NAME or form in named}
    return tuple(sorted((form for form in wanted if wanted[form] > 0), key=lambda form: -wanted[form]))
