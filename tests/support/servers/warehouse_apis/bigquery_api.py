"""The requests that BigQuery's client sends: jobs with ids of the client, their state, result and end, and tables."""

from __future__ import annotations

from typing import Any

from tests.support.servers.warehouse_apis.server import Answer, Statement, WarehouseApi

TYPES = {"int": "INTEGER", "float": "FLOAT", "text": "STRING"}
DRY_RUN_BYTES = 4096


class BigQueryApi(WarehouseApi):
    """See `WarehouseApi`. `failure` and `refuse` name errors by reason.

    Attributes:
        tables: Name → schema, as the API writes it.
        permissions: What the account may do with a table.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tables: dict[str, list[dict[str, str]]] = {}
        self.permissions: list[str] = []

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], login: str) -> Answer:
        if self.script.refuse is not None:
            status, reason = self.script.refuse
            return status, _error(status, reason)
        parts = path.split("/")[3:]  # after /bigquery/v2
        match method, parts:
            case "POST", ["projects", _, "jobs"]:
                return self._insert(body)
            case "GET", ["projects", _, "jobs"]:
                state = query["stateFilter"]
                jobs = [one for one in self.statements.values() if one.state() == state]
                return 200, {"jobs": [self._job(one, state) for one in jobs]}
            case "POST", ["projects", _, "jobs", id_, "cancel"]:
                self.statements[id_].cancelled = True
                return 200, {"job": self._job(self.statements[id_], "cancelled")}
            case "GET", ["projects", _, "jobs", id_]:
                one = self.statements.get(id_)
                return (404, _error(404, "notFound")) if one is None else (200, self._job(one, one.state()))
            case "GET", ["projects", _, "queries", id_]:
                return 200, self._rows(self.statements[id_])
            case "GET", ["projects", project, "datasets", dataset, "tables"]:
                place = {"projectId": project, "datasetId": dataset}
                return 200, {"tables": [{"tableReference": {**place, "tableId": name}} for name in self.tables]}
            case "GET", ["projects", project, "datasets", dataset, "tables", name] if name in self.tables:
                place = {"projectId": project, "datasetId": dataset, "tableId": name}
                return 200, {"tableReference": place, "schema": {"fields": self.tables[name]}}
            case "POST", [*_, name] if name.endswith(":testIamPermissions"):
                return 200, {"permissions": [one for one in body["permissions"] if one in self.permissions]}
        return 404, _error(404, "notFound")

    def _insert(self, body: dict[str, Any]) -> Answer:
        configuration, id_ = body["configuration"], body["jobReference"]["jobId"]
        if id_ in self.statements:
            return 409, _error(409, "duplicate")
        sql, label = configuration["query"]["query"], configuration.get("labels", {}).get("segment-personas-sync", "")
        if configuration.get("dryRun"):
            return 200, self._job(Statement(id_, sql, label, 0, None), "succeeded", DRY_RUN_BYTES)
        made = self.submit(sql, label, id_)
        return 200, self._job(made, "running")

    def _job(self, one: Statement, state: str, scanned: int = 2048) -> dict[str, Any]:
        reason = "stopped" if state == "cancelled" else one.failure if state == "failed" else None
        status: dict[str, Any] = {"state": "RUNNING" if state == "running" else "DONE"}
        if reason:
            status["errorResult"] = {"reason": reason, "message": "Bad value 'Ada'"}
        return {
            "id": f"p:EU.{one.id}",
            "jobReference": {"projectId": "p", "jobId": one.id, "location": "EU"},
            "configuration": {
                "jobType": "QUERY",
                "labels": {"segment-personas-sync": one.label},
                "query": {"query": one.sql, "destinationTable": {"projectId": "p", "datasetId": "_a", "tableId": "t"}},
            },
            "status": status,
            "statistics": {"totalBytesProcessed": str(scanned), "query": {"totalBytesProcessed": str(scanned)}},
        }

    def _rows(self, one: Statement) -> dict[str, Any]:
        columns, rows = self.result(one)
        cells = [{"f": [{"v": None if value is None else str(value)} for value in row]} for row in rows]
        return {
            "jobReference": {"projectId": "p", "jobId": one.id, "location": "EU"},
            "jobComplete": True,
            "totalRows": str(len(rows)),
            "schema": {"fields": [{"name": name, "type": TYPES[kind]} for name, kind in columns.items()]},
            "rows": cells,
        }


def _error(status: int, reason: str) -> dict[str, Any]:
    message = "Bad value 'Ada'"
    return {"error": {"code": status, "message": message, "errors": [{"reason": reason, "message": message}]}}
