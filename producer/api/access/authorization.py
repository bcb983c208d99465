"""Checks whether the bearer token of a request allows it: whether it is known, and has the scope of the route."""

from __future__ import annotations

import logging
import math

from aiohttp import web

from producer.api.access.tokens import Scope, Token, TokenFile
from producer.api.access.wrong_tokens import WrongTokens
from producer.api.problems import Problem

log = logging.getLogger("segment_personas.api")

REALM = 'Bearer realm="segment-personas"'


def authorize(request: web.Request, tokens: TokenFile, wrong_tokens: WrongTokens, scope: Scope) -> Token:
    """Returns the token of the request. Raises Problem if there is none, or none that allows `scope`."""
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
        address = request.remote or ""
        if wait_s := wrong_tokens.count(address):
            raise Problem(
                "too_many_wrong_tokens",
                "This address has sent too many wrong bearer tokens.",
                hint="Set a token of API_TOKENS_FILE, and try again after Retry-After.",
                headers={"Retry-After": str(math.ceil(wait_s))},
            )
        log.info("a wrong token from %s", address)
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
