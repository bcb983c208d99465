"""The web page in a real browser: a space is previewed, applied, cancelled and resumed there."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from producer.sandbox import Fault, SpaceSpec
from tests.support.http_api.api_thread import ApiThread, start_api_thread
from tests.support.http_api.web_browser import Tab, open_tab, open_window, start_browser
from tests.support.scenarios.scenario import RECIPE
from tests.support.servers.redis_server import RedisServer
from worker.clusters import RECIPE as RULES

pytestmark = pytest.mark.asyncio(loop_scope="module")

SPACES = {
    **dict.fromkeys(("first", "keys", "bought", "broke", "listed"), RECIPE),
    "shop": SpaceSpec(600, "mixed", seed=1),
    "big": SpaceSpec(1_000_000, "recipe"),
}
DESKTOP: ViewportSize = {"width": 1200, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
MARKUP = "<img src=x onerror=alert(1)>"
SCRIPT = "<script>alert(2)</script>"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("files")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def api(session_redis: RedisServer, files: Path) -> AsyncIterator[ApiThread]:
    async with start_api_thread(session_redis, spaces=SPACES, settings={"files_dir": files}) as server:
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


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def planned(api: ApiThread) -> str:
    """A preview of a realistic space, whose personas exist already and would be updated."""
    for _ in range(2):
        await api.ended(await api.ask("shop"))
    api.server.sandbox.set_options(spaces={**SPACES, "shop": SpaceSpec(700, "mixed", seed=2)})
    sync_id = await api.ask("shop", plan_only=True)
    assert (await api.ended(sync_id))["status"] == "planned"
    return sync_id


async def expect_state(page: Page, text: str) -> None:
    await expect(page.locator(".facts .badge")).to_have_text(text)


async def test_a_space_is_previewed_and_its_plan_applied(api: ApiThread, tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await page.get_by_label("Space id").fill("first")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("heading", level=1, name="first")).to_be_focused()
    await expect_state(page, "Plan ready")
    plan = page.locator("section", has=page.get_by_role("heading", name="Plan", exact=True))
    await expect(plan).to_contain_text("900 credits")
    await page.get_by_text("Fields of Growth").click()
    await expect(page.get_by_role("table", name="Growth: fields")).to_contain_text("avg_ltv")
    assert (await api.get("/v1/spaces/first/personas"))["data"] == []

    await page.get_by_role("button", name="Apply plan").click()
    dialog = page.get_by_role("dialog", name="Apply this plan?")
    await expect(dialog).to_contain_text("Creates 3 personas for 900 credits")
    await dialog.get_by_role("button", name="Apply plan").click()
    await expect_state(page, "Completed")
    personas = page.locator("section", has=page.get_by_role("heading", name="Personas", exact=True))
    await expect(personas.get_by_text("Created", exact=True)).to_have_count(3)
    await page.get_by_text("Payload of At Risk").click()
    await expect(page.locator("pre").nth(2)).to_contain_text('"churn_risk"')
    await tab.assert_accessible()
    assert len((await api.get("/v1/spaces/first/personas"))["data"]) == 3


async def test_a_running_sync_is_shown_live_and_cancelled(api: ApiThread, tab: Tab) -> None:
    api.server.sandbox.add_fault(Fault("segment", "slow", space="big", seconds=0.3))
    sync_id = await api.ask("big")
    page = tab.page
    await tab.open(f"#/syncs/{sync_id}")
    progress = page.locator("#progress-text")
    await expect(progress).to_contain_text(re.compile("[1-9][0-9,]* profiles from"))
    before = await progress.inner_text()
    await expect(progress).not_to_have_text(before)
    await expect(page.get_by_role("img", name="Growth: 33 %")).to_be_visible()
    await tab.assert_accessible()
    await page.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Cancel sync").click()
    await expect_state(page, "Cancelled")
    await expect(progress).to_be_hidden()
    assert (await api.get(f"/v1/syncs/{sync_id}"))["status"] == "cancelled"


async def test_a_failed_sync_says_why_and_is_resumed(api: ApiThread, tab: Tab) -> None:
    sync_id = await api.ask("broke", max_credits=0)
    assert (await api.ended(sync_id))["error"]["code"] == "over_budget"
    page = tab.page
    await tab.open(f"#/syncs/{sync_id}")
    error = page.get_by_role("alert")
    await expect(error).to_contain_text("over_budget")
    await expect(error).to_contain_text("MAX_CREDITS")
    await expect(error).not_to_contain_text("POST")
    await page.get_by_role("button", name="Resume").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Spend at most").fill("900")
    await dialog.get_by_role("button", name="Resume").click()
    await expect_state(page, "Completed")
    await expect(error).to_be_hidden()


async def test_a_refused_action_says_why_in_its_dialog(api: ApiThread, tab: Tab) -> None:
    sync_id = await api.ask("bought", plan_only=True)
    await api.ended(sync_id)
    page = tab.page
    await tab.open(f"#/syncs/{sync_id}")
    await page.get_by_role("button", name="Apply plan").click()
    await page.route("**/apply", lambda route: route.fulfill(status=503, json=STOPPING))
    await page.get_by_role("dialog").get_by_role("button", name="Apply plan").click()
    await expect(page.get_by_role("dialog").get_by_role("alert")).to_contain_text("The server stops.")
    await expect(page.get_by_role("dialog").get_by_role("button", name="Apply plan")).to_be_enabled()


STOPPING = {"status": 503, "code": "stopping", "detail": "The server stops."}


async def test_the_list_is_live_and_filtered(api: ApiThread, tab: Tab) -> None:
    page = tab.page
    await tab.open()
    sync_id = await api.ask("listed", plan_only=True)
    link = page.locator(f'a[href="#/syncs/{sync_id}"]')
    await expect(link).to_be_visible()
    await page.get_by_role("combobox", name="State").select_option("failed")
    await expect(link).to_be_hidden()
    await page.get_by_role("combobox", name="State").select_option("planned")
    await page.get_by_label("Space", exact=True).fill("listed")
    await page.keyboard.press("Enter")
    await expect(link).to_be_visible()
    await expect(page.locator("tbody tr")).to_have_count(1)
    await page.get_by_label("Space", exact=True).fill("none")
    await page.keyboard.press("Enter")
    await expect(page.locator("#syncs")).to_contain_text("No sync matches the filter.")


async def test_the_keyboard_alone_previews_and_applies(api: ApiThread, tab: Tab) -> None:
    page = tab.page
    await tab.open()
    await page.keyboard.press("Tab")
    await expect(page.get_by_text("Skip to content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.type("keys")
    await page.keyboard.press("Enter")
    await expect_state(page, "Plan ready")
    await press_until(page, "Tab", "Apply plan")
    await page.keyboard.press("Enter")
    await expect(page.get_by_label("Spend at most")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.get_by_role("dialog")).to_be_hidden()
    await expect(page.get_by_role("button", name="Apply plan")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Enter")
    await expect_state(page, "Completed")
    assert await page.evaluate("document.activeElement !== document.body")


async def press_until(page: Page, key: str, name: str) -> None:
    """Presses a key until the button of this name has the focus."""
    for _ in range(30):
        if await page.evaluate("document.activeElement.textContent") == name:
            return
        await page.keyboard.press(key)
    raise AssertionError(f"{name} cannot be reached")


async def test_the_page_is_accessible_in_every_window(api: ApiThread, tab: Tab, planned: str) -> None:
    page = tab.page
    await tab.open()
    await expect(page.locator("tbody tr").first).to_be_visible()
    await assert_accessible_in_every_window(tab)
    await tab.open(f"#/syncs/{planned}")
    await expect(page.get_by_role("heading", name="Drift")).to_be_visible()
    await expect(page.get_by_role("img", name=re.compile("At Risk: median USD .* 80 % of the values"))).to_be_visible()
    await expect(page.locator(".histogram-chart rect").nth(20)).to_be_attached()
    await expect(page.get_by_role("img", name="At Risk, SaaS:").first).to_be_visible()
    changes = page.get_by_role("table", name="Growth: before and after")
    await expect(changes.locator("del").first).to_be_visible()
    await expect(changes.locator("ins").first).to_be_visible()
    await assert_accessible_in_every_window(tab)
    await page.get_by_role("button", name="Apply plan").click()
    await tab.assert_accessible()
    reply = await api.run(api.server.post("/v1/schedules", {"space_id": "first", "cron": "30 4 * * *"}))
    await tab.open("#/schedules")
    await expect(page.get_by_role("row", name="first")).to_be_visible()
    await assert_accessible_in_every_window(tab)
    await api.run(api.server.call("DELETE", f"/v1/schedules/{reply.json['schedule_id']}"))


async def assert_accessible_in_every_window(tab: Tab) -> None:
    """Asserts that axe finds nothing in the view that is shown, in each window size and each colour scheme once."""
    for viewport, scheme in zip((DESKTOP, PHONE), SCHEMES, strict=True):
        await tab.page.set_viewport_size(viewport)
        await tab.page.emulate_media(color_scheme=scheme)
        await tab.assert_accessible()


async def test_values_that_look_like_markup_stay_text(api: ApiThread, files: Path, tab: Tab) -> None:
    rules: dict[str, Any] = json.loads(RULES.model_dump_json(exclude_none=True))
    rules |= {"name": "markup"}
    rules["clusters"][0]["label"] = MARKUP
    rules["traits"][3] |= {"label": SCRIPT, "values": [MARKUP]}  # other words that look like ids are not counted
    rules["traits"][4]["values"] = [SCRIPT]
    profiles = [
        {"id": f"u{n}", "traits": {"ltv": 900 + n, "churn_risk": 0.01, "industry": MARKUP, "plan": SCRIPT}}
        for n in range(60)
    ]
    (files / "markup.ndjson").write_text("\n".join(map(json.dumps, profiles)))
    sync_id = await api.ask("markup", file="markup.ndjson", rules=rules, plan_only=True)
    assert (await api.ended(sync_id))["status"] == "planned"
    await tab.open(f"#/syncs/{sync_id}")
    page = tab.page
    await expect(page.get_by_role("heading", level=3, name=MARKUP)).to_be_visible()
    await expect(page.get_by_role("heading", level=3, name=SCRIPT)).to_be_visible()
    await expect(page.get_by_role("img", name=f"{MARKUP}, {MARKUP}: 100 %")).to_be_visible()
    await expect(page.locator("main img, main script")).to_have_count(0)
    for unknown in (MARKUP, "%"):
        await page.goto(f"{tab.url}/#/syncs/{unknown}")
        await expect(page.get_by_role("alert")).to_contain_text("sync_not_found")
        await page.goto(f"{tab.url}/#/")
        await expect(page.get_by_role("alert")).to_be_hidden()


async def test_the_policy_forbids_inline_scripts(tab: Tab) -> None:
    await tab.open()
    script = "document.body.append(Object.assign(document.createElement('script'), {text: 'hit = 1'})); typeof hit"
    assert await tab.page.evaluate(script) == "undefined"
    assert any("Content Security Policy" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


async def test_a_schedule_is_added_paused_and_deleted(api: ApiThread, browser: Browser) -> None:
    async with (
        open_window(browser, timezone_id="Europe/Vienna", viewport=PHONE, color_scheme="dark") as window,
        open_tab(window, api.url) as tab,
    ):
        page = tab.page
        await tab.open()
        await page.get_by_role("link", name="Schedules").click()
        await expect(page.get_by_role("heading", level=1, name="Schedules")).to_be_focused()
        await page.get_by_label("Space id").fill("first")
        await page.get_by_label("Times (cron)").fill("0 99 * * *")
        await page.get_by_role("button", name="Add schedule").click()
        await expect(page.get_by_role("alert")).to_contain_text("invalid_request")
        await page.get_by_label("Times (cron)").fill("30 4 * * *")
        await page.get_by_label("Credits for each sync").fill("900")
        await page.get_by_role("button", name="Add schedule").click()
        await expect(page.get_by_role("row", name="first")).to_contain_text(
            "30 4 * * * Europe/Vienna · at most 900 credits"
        )
        await expect(page.get_by_role("alert")).to_be_hidden()
        await page.get_by_role("button", name="Pause first").click()
        await expect(page.get_by_role("button", name="Unpause first")).to_be_focused()
        (found,) = (await api.get("/v1/schedules"))["data"]
        assert (found["paused"], found["options"]["max_credits"]) == (True, 900)
        await page.get_by_role("button", name="Delete first").click()
        await page.get_by_role("button", name="Delete schedule").click()
        await expect(page.get_by_text("There are no schedules yet.")).to_be_visible()
        assert (await api.get("/v1/schedules"))["data"] == []
