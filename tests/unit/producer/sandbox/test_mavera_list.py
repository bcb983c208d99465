"""The list of personas in the sandbox: its pages, its search, its lag, and what it may leave out."""

from __future__ import annotations

from tests.support.sandbox.mavera_requests import BODY, MaveraRequests, mavera_sandbox


async def _fill(client: MaveraRequests, number: int) -> None:
    for index in range(number):
        await client.ask("POST", body={"name": f"Persona {index}"})


async def test_the_list_is_paged_newest_first() -> None:
    async with mavera_sandbox() as client:
        await _fill(client, 5)
        _, _, first = await client.ask("GET", limit="2")
        assert first["object"] == "list"
        assert [row["name"] for row in first["data"]] == ["Persona 4", "Persona 3"]
        assert set(first["data"][0]) == {
            "id",
            "object",
            "name",
            "category",
            "description",
            "is_custom",
            "created_at",
        }
        _, _, second = await client.ask("GET", limit="2", cursor=first["next_cursor"])
        _, _, third = await client.ask("GET", limit="2", cursor=second["next_cursor"])
        assert [row["name"] for row in third["data"]] == ["Persona 0"]
        assert (third["has_more"], third["next_cursor"]) == (False, None)


async def test_the_list_shows_50_unless_asked_for_up_to_100() -> None:
    async with mavera_sandbox(stock_personas=120) as client:
        assert len(await client.names()) == 50
        assert len(await client.names(limit="100")) == 100
        for limit in ("101", "0", "x"):
            assert (await client.ask("GET", limit=limit))[0] == 400
        assert (await client.ask("GET", cursor="invented"))[0] == 400


async def test_a_full_page_can_be_without_a_cursor() -> None:
    async with mavera_sandbox(stock_personas=120, mavera_next_cursor=False) as client:
        _, _, body = await client.ask("GET", limit="100")
        assert len(body["data"]) == 100
        assert set(body) == {"object", "data"}


async def test_the_list_can_cut_descriptions_while_a_search_covers_the_whole() -> None:
    async with mavera_sandbox(mavera_shown=10) as client:
        _, _, answer = await client.ask("POST", body=BODY)
        assert answer["description"] == BODY["description"]
        _, _, body = await client.ask("GET", search="ab12")
        assert [row["description"] for row in body["data"]] == ["High Value"]
        client.box.set_options(mavera_shown=0)
        _, _, body = await client.ask("GET")
        assert "description" not in body["data"][0]
        assert (await client.ask("GET", "/" + answer["id"]))[2]["description"] == BODY["description"]
        client.box.set_options(mavera_reads=False)
        assert (await client.ask("GET", "/" + answer["id"]))[0] == 404


async def test_the_list_can_begin_with_odd_rows() -> None:
    async with mavera_sandbox(mavera_odd_rows=True, stock_personas=1) as client:
        _, _, body = await client.ask("GET")
        assert None in body["data"]
        assert [row["id"] for row in body["data"] if isinstance(row, dict) and "id" in row][-1] == "per_stock_0"


async def test_the_list_is_searched_and_filtered() -> None:
    async with mavera_sandbox(stock_personas=2) as client:
        await client.ask("POST", body=BODY)
        await client.ask("POST", body={"name": "Other", "category": "cdp"})
        assert await client.names(search="REF: AB12") == [BODY["name"]]
        assert await client.names(search="segment cdp") == [BODY["name"]]
        assert await client.names(search="nothing") == []
        assert await client.names(category="cdp") == ["Other"]
        for name in ("custom", "is_custom", "custom_only"):
            assert len(await client.names(**{name: "true"})) == 2
        assert len(await client.names()) == 4
        assert len(client.box.personas) == 2


async def test_a_created_persona_is_listed_only_after_the_lag() -> None:
    async with mavera_sandbox(listing_lag_s=3600.0) as client:
        persona_id = (await client.ask("POST", body=BODY))[2]["id"]
        assert await client.names() == []
        assert (await client.ask("PATCH", "/" + persona_id, {"description": "new"}))[0] == 200
        client.box.personas[0].listed_from -= 3600.0
        assert await client.names() == [BODY["name"]]
