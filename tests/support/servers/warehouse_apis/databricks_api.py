"""The Statement Execution API of Databricks: statements, their state, the chunks of their result, and their end."""

from __future__ import annotations

from typing import Any

from tests.support.servers.warehouse_apis.server import Answer, WarehouseApi

TOKEN = "dapi-open-sesame"
TYPES = {"int": "LONG", "float": "DOUBLE", "text": "STRING"}
STATES = {"running": "RUNNING", "succeeded": "SUCCEEDED", "failed": "FAILED", "cancelled": "CANCELED"}
ROWS_PER_CHUNK = 2


class DatabricksApi(WarehouseApi):
    """See `WarehouseApi`. `failure` is the beginning of a text; `refuse` names errors by code."""

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], login: str) -> Answer:
        if self.script.refuse is not None:
            status, code = self.script.refuse
            return status, {"error_code": code, "message": f"Refused: {TOKEN}"}
        if path == "/.well-known/databricks-config":
            return 200, {}
        if login != f"Bearer {TOKEN}":
            return 401, {"error_code": "UNAUTHENTICATED", "message": f"Refused: {login}"}
        match method, path.strip("/").split("/")[2:]:
            case "POST", ["sql", "statements"]:
                assert body["wait_timeout"] == "0s"
                assert body["warehouse_id"] == "abc"
                made = self.submit(body["statement"], "")
                return 200, {"statement_id": made.id, "status": {"state": "PENDING"}}
            case "POST", ["sql", "statements", id_, "cancel"]:
                self.statements[id_].cancelled = True
                return 200, {}
            case "GET", ["sql", "statements", id_] if id_ in self.statements:
                return 200, self._statement(id_)
            case "GET", ["sql", "statements", id_, "result", "chunks", number]:
                return 200, self._chunk(id_, int(number))
            case "GET", ["sql", "history", "queries"]:
                return 200, {"res": self._history(query)}
        return 404, {"error_code": "NOT_FOUND", "message": "no such statement"}

    def _statement(self, id_: str) -> dict[str, Any]:
        state = self.statements[id_].state()
        found: dict[str, Any] = {"statement_id": id_, "status": {"state": STATES[state]}}
        if state == "failed":
            message = f"{self.statements[id_].failure} The value 'Ada' cannot be read."
            found["status"]["error"] = {"error_code": "BAD_REQUEST", "message": message}
        if state == "succeeded":
            columns = [{"name": name, "type_name": TYPES[kind]} for name, kind in self._columns(id_).items()]
            found["manifest"] = {"schema": {"columns": columns}}
            found["result"] = self._chunk(id_, 0)
        return found

    def _columns(self, id_: str) -> dict[str, Any]:
        return dict(self.result(self.statements[id_])[0])

    def _chunk(self, id_: str, number: int) -> dict[str, Any]:
        _, rows = self.result(self.statements[id_])
        first = number * ROWS_PER_CHUNK
        part = rows[first : first + ROWS_PER_CHUNK]
        found: dict[str, Any] = {
            "chunk_index": number,
            "data_array": [[None if value is None else str(value) for value in row] for row in part],
        }
        if first + ROWS_PER_CHUNK < len(rows):
            found["next_chunk_index"] = number + 1
        return found

    def _history(self, query: dict[str, str]) -> list[dict[str, Any]]:
        wanted = query.get("filter_by.statement_ids")
        found = [one for one in self.statements.values() if (one.id == wanted if wanted else one.state() == "running")]
        return [{"query_id": one.id, "query_text": one.sql, "metrics": {"read_bytes": 2048}} for one in found]
