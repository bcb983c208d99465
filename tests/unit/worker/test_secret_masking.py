"""No secret of ours is shown or kept, though an API repeats it in its answer."""

from __future__ import annotations

import itertools
import json
from base64 import b64encode

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.examples import examples
from tests.support.servers.web_server import answer, serving
from worker import secret_masking
from worker.errors import ApiError, PersonasError, ResumableStop, StoreUnavailable
from worker.http.body import parse_error
from worker.http.client import HttpClient, HttpLimits, new_session
from worker.mavera import MaveraClient
from worker.models.request import SyncRequest
from worker.segment import InlineApi
from worker.settings import load_settings

TOKEN = "seg/T0ken+0123456789"
KEY = "mvra_live_0123456789abcdef"
PASSWORD = "redis/p@ss 0123456789"

Texts = st.sampled_from(
    ["", " ", "x", "jane", TOKEN, f"Bearer {TOKEN}", KEY, PASSWORD, "\x1b[31m", "\ud800", "é" * 400]
)
Errors = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | Texts,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "errors", "message", "detail", "title", "code", "type", "param", "field", "data"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def _secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, empty in (("_known", set()), ("_texts", None), ("_bytes", None)):
        monkeypatch.setattr(secret_masking, name, empty)
    load_settings(
        segment_token=TOKEN,
        mavera_api_key=KEY,
        redis_url="redis://user:redis%2Fp%40ss%200123456789@127.0.0.1:1/0",
    )


def shows_a_secret(text: str) -> bool:
    basic = b64encode(f"{TOKEN}:".encode()).decode()
    return any(secret in text for secret in (TOKEN, KEY, PASSWORD, basic))


@pytest.mark.parametrize("kind", [PersonasError, StoreUnavailable])
@pytest.mark.parametrize("secret", [TOKEN, KEY, PASSWORD, b64encode(f"{TOKEN}:".encode()).decode()])
def test_an_error_has_no_secret_in_it(kind: type[PersonasError], secret: str) -> None:
    error = kind(f"refused: {secret}!")
    assert str(error) == f"refused: {secret_masking.MASK}!"
    assert secret not in repr(error)


def test_a_request_id_that_is_a_token_is_not_kept() -> None:
    error = ResumableStop("code", "No", request_id=TOKEN)
    assert (error.request_id, str(error)) == (secret_masking.MASK, f"No (Request-Id {secret_masking.MASK})")


def test_a_short_secret_is_not_looked_for() -> None:
    load_settings(segment_token="page", mavera_api_key=None, redis_url=None)
    assert secret_masking.mask("page 3") == "page 3"


@examples(200, thorough=3000)
@given(Errors)
def test_words_of_any_error_body_are_found_or_none_and_show_no_secret(body: object) -> None:
    raw = json.dumps(body).encode()
    words = parse_error(secret_masking.mask_bytes(raw))
    assert all(isinstance(word, str) and len(word) <= 300 and word.isprintable() for word in words)
    assert not shows_a_secret(str(ResumableStop("code", " ".join(words))))
    if isinstance(body, dict) and body.get("message") == "jane" and not body.get("error") and not body.get("errors"):
        assert "jane" in words[1]


ECHOES = [
    answer(500, orjson.dumps({"error": {"message": f"bad token {TOKEN} or {KEY}"}})),
    answer(403, orjson.dumps({"errors": [{"message": f"Bearer {TOKEN}", "type": KEY}]})),
    answer(400, f'{{"detail": "{TOKEN.replace("/", chr(92) + "/")}"}}'.encode()),
    answer(401, b"".join(b"\\u%04x" % byte for byte in TOKEN.encode()).join([b'{"title": "', b'"}'])),
    answer(200, orjson.dumps({"error": TOKEN})),
    answer(404, b"{}", {"Request-Id": TOKEN}),
    answer(302, b"", {"Location": f"http://{KEY}.example/{TOKEN}"}),
    answer(200, b"{}", {"Content-Encoding": KEY}),
]


@pytest.mark.parametrize("raw", ECHOES, ids=range(len(ECHOES)))
async def test_a_token_that_an_api_repeats_is_in_no_error(raw: bytes) -> None:
    async with serving(raw) as web, new_session() as session:
        http = HttpClient(session, web.url, {"Authorization": f"Bearer {TOKEN}"}, HttpLimits(30, 30, 1 << 20))
        for ask in (
            InlineApi(http, SyncRequest(space_id="s"), 10).fetch_page("", 1),
            MaveraClient(http).list_page("f", None),
        ):
            with pytest.raises(ApiError) as caught:
                await ask
            assert not shows_a_secret(repr(caught.value) + str(caught.value.request_id))


async def test_a_token_in_a_good_answer_is_not_kept_either() -> None:
    body = orjson.dumps({"id": "per_1", "name": f"Made by {KEY}"})
    async with serving(answer(200, body)) as web, new_session() as session:
        http = HttpClient(session, web.url, {"Authorization": f"Bearer {KEY}"}, HttpLimits(30, 30, 1 << 20))
        persona = await MaveraClient(http).get("per_1")
    assert persona
    assert persona.name == f"Made by {secret_masking.MASK}"


def test_each_of_thousands_of_secrets_is_masked() -> None:
    kept = [
        f"{first}{second}-token-{number}" for number, (first, second) in enumerate(itertools.product("ab+/é", "ab.*"))
    ]
    for secret in [*kept, "aa-token-0-longer"]:
        secret_masking.keep_secret(secret)
    text = " ".join([*kept, "aa-token-0-longer", "aa-token-x"])
    expected = " ".join([secret_masking.MASK] * (len(kept) + 1) + ["aa-token-x"])
    assert secret_masking.mask(text) == expected
    assert secret_masking.mask_bytes(text.encode()) == expected.encode()
