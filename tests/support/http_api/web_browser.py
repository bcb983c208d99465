"""A headless Chromium that drives the web page, and notes whatever a page of ours must never do."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright, expect

from tests.support.servers.redis_server import in_ci

_AXE = Axe()
BROWSERS = ("chromium", "chromium-browser", "google-chrome")

expect.set_options(timeout=300_000)  # a safety net: a test waits for what it expects, however slow the machine is


def browser_binary() -> str:
    """The browser of this machine. Without one, a test is skipped; in CI that is a RuntimeError."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    reason = "the tests of the web page need Chromium: apt-get install chromium"
    if in_ci():
        raise RuntimeError(reason)
    pytest.skip(reason)


@contextlib.asynccontextmanager
async def start_browser() -> AsyncIterator[Browser]:
    """The browser, until the end of the block."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=browser_binary(), args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        await browser.close()


@dataclass
class Tab:
    """A tab that shows the page.

    Attributes:
        page: For everything that a person does.
        url: Of the server.
        complaints: Errors of scripts, violations of the Content-Security-Policy, and requests to other hosts.
    """

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    async def open(self, address: str = "#/") -> None:
        """Loads the page at an address, and waits for its heading."""
        await self.page.goto(f"{self.url}/{address}")
        await expect(self.page.locator("h1")).to_be_visible()

    async def assert_accessible(self) -> None:
        """Asserts that axe finds nothing serious, and that nothing is wider than the window."""
        if not await self.page.evaluate("'axe' in window"):
            await self.page.evaluate(_AXE.axe_script)
        findings = await self.page.evaluate("axe.run({resultTypes: ['violations']}).then(found => found.violations)")
        serious = [
            (one["id"], [node["target"] for node in one["nodes"]])
            for one in findings
            if one["impact"] in ("serious", "critical")
        ]
        assert serious == []
        assert await self.page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    def note(self, message: ConsoleMessage) -> None:
        """Keeps an error of the console, other than that of a request that the API refused."""
        if message.type == "error" and not re.search(r"responded with a status of [45]\d\d", message.text):
            self.complaints.append(message.text)


@contextlib.asynccontextmanager
async def open_window(browser: Browser, **options: Any) -> AsyncIterator[BrowserContext]:
    """A window for many tabs: to open one costs the browser more than a tab does. options: of `Browser.new_context`."""
    window = await browser.new_context(**options)
    try:
        yield window
    finally:
        await window.close()


@contextlib.asynccontextmanager
async def open_tab(window: BrowserContext, url: str) -> AsyncIterator[Tab]:
    """A tab with a separate session storage. Asserts at its end that it was quiet."""
    tab = Tab(await window.new_page(), url)
    tab.page.set_default_timeout(300_000)
    tab.page.on("console", tab.note)
    tab.page.on("pageerror", lambda error: tab.complaints.append(str(error)))
    tab.page.on("request", lambda request: None if request.url.startswith(url) else tab.complaints.append(request.url))
    tab.page.on("dialog", lambda dialog: tab.complaints.append(f"dialog: {dialog.message}"))
    try:
        yield tab
        assert tab.complaints == []
    finally:
        await tab.page.close()
