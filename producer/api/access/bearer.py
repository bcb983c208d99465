"""Whether a request's bearer token allows it."""

from __future__ import annotations

from aiohttp import web

from producer.api.access.tokens import Scope, Token, TokenFile
from producer.api.problems import Problem

REALM = 'Bearer realm="segment-personas"'


def authorize(request: web.Request, tokens: TokenFile, scope: Scope) -> Token:
    """The token of the request. Raises Problem if there is none, or none that allows `scope`."""
    kind, _, presented = request.headers.get("Authorization", "").partition(" ")
    if kind.lower() != "bearer" or not presented.strip():
        raise Problem(
            "unauthorized",
            "This request needs a bearer token.",
            hint="Send the header Authorization: Bearer TOKEN.",
            headers={"WWW-Authenticate": REALM},
        )
    token = tokens.find(presented.strip())
    if token is None:
        raise Problem(
            "unauthorized",
            "This bearer token is not known.",
            headers={"WWW-Authenticate": f'{REALM}, error="invalid_token"'},
        )
    if scope not in token.scopes:
        raise Problem(
            "insufficient_scope",
            f"The token {token.name} does not have the scope {scope}.",
            headers={"WWW-Authenticate": f'{REALM}, error="insufficient_scope", scope="{scope}"'},
        )
    return token
