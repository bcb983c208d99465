"""The web page of a server with tokens: signing in, for one tab, and what a token does not allow."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.support.http_api.api_thread import ApiThread, start_api_thread
from tests.support.http_api.web_browser import Tab, open_tab, open_window, start_browser
from tests.support.servers.redis_server import RedisServer

pytestmark = pytest.mark.asyncio(loop_scope="module")

READER, WRITER = "reader-0123456789abcdef", "writer-0123456789abcdef"
TOKENS = f"""
[[tokens]]
name = "reader"
token = "{READER}"
scopes = ["read"]

[[tokens]]
name = "writer"
token = "{WRITER}"
scopes = ["read", "write"]
"""


@pytest.fixture(scope="module")
def tokens_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("tokens") / "tokens.toml"
    path.write_text(TOKENS)
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(session_redis: RedisServer, tokens_file: Path) -> AsyncIterator[ApiThread]:
    async with start_api_thread(session_redis, tokens_file=tokens_file) as server:
        yield server


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with start_browser() as found:
        yield found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def window(browser: Browser) -> AsyncIterator[BrowserContext]:
    async with open_window(browser) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="module")
async def tab(api: ApiThread, window: BrowserContext) -> AsyncIterator[Tab]:
    async with open_tab(window, api.url) as found:
        yield found


async def sign_in(page: Page, token: str) -> None:
    await page.get_by_label("Token").fill(token)
    await page.get_by_role("button", name="Sign in").click()


async def test_a_wrong_token_is_refused_and_the_right_one_signs_in(tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await expect(page.get_by_label("Token")).to_be_focused()
    await tab.assert_accessible()
    await sign_in(page, "wrong-0123456789abcdef")
    await expect(page.get_by_role("alert")).to_contain_text("does not know this token")
    await tab.assert_accessible()
    await sign_in(page, WRITER)
    await expect(page.get_by_role("heading", level=1, name="Syncs")).to_be_visible()
    await page.get_by_label("Space id").fill("spa")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.locator(".facts .badge")).to_have_text("Plan ready")


async def test_a_token_that_only_reads_cannot_start_a_preview(tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await sign_in(page, READER)
    await page.get_by_label("Space id").fill("spa")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("alert")).to_contain_text("insufficient_scope")


async def test_a_token_lasts_as_long_as_its_tab(tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await sign_in(page, READER)
    await expect(page.get_by_role("heading", level=1, name="Syncs")).to_be_visible()
    await page.reload()
    await expect(page.get_by_role("heading", level=1, name="Syncs")).to_be_visible()
    other = Tab(await page.context.new_page(), tab.url)
    await other.open()
    await expect(other.page.get_by_label("Token")).to_be_visible()
    assert await page.context.cookies() == []
    assert await page.evaluate("localStorage.length") == 0
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_label("Token")).to_be_focused()
    assert await page.evaluate("sessionStorage.length") == 0
