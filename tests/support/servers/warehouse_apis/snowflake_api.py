"""The requests that Snowflake's connector sends: login, asynchronous statements, their state, result and end."""

from __future__ import annotations

from typing import Any

from tests.support.servers.warehouse_apis.server import Answer, WarehouseApi

PASSWORD = "open-sesame"

STATES = {
    "running": "RUNNING",
    "succeeded": "SUCCESS",
    "failed": "FAILED_WITH_ERROR",
    "cancelled": "FAILED_WITH_ERROR",
}
TYPES = {"int": "fixed", "float": "real", "text": "text"}


class SnowflakeApi(WarehouseApi):
    """See `WarehouseApi`. `failure` and `refuse` name errors by number.

    Attributes:
        logins: How each login proved who it is.
    """

    def __init__(self) -> None:
        super().__init__()
        self.logins: list[str] = []

    def answer(self, method: str, path: str, query: dict[str, str], body: dict[str, Any], login: str) -> Answer:
        if self.script.refuse is not None:
            status, code = self.script.refuse
            return status, _failure(code)
        if path == "/session/v1/login-request":
            given = body["data"]
            self.logins.append(str(given.get("AUTHENTICATOR", "PASSWORD")))
            if given.get("PASSWORD") != PASSWORD and not given.get("TOKEN"):
                return 200, _failure("390100")
            token = {"token": "T", "masterToken": "M", "validityInSeconds": 3600, "masterValidityInSeconds": 14400}
            return 200, _success({**token, "sessionId": 1, "parameters": [], "sessionInfo": {}})
        if path == "/queries/v1/query-request":
            tag = (body.get("parameters") or {}).get("QUERY_TAG", "")
            made = self.submit(body["sqlText"], tag)
            assert body["asyncExec"] is True
            data = {"queryId": made.id, "getResultUrl": f"/queries/{made.id}/result"}
            return 200, {**_success(data), "code": "333334"}
        if path.startswith("/monitoring/queries/"):
            found = self.statements.get(path.rsplit("/", 1)[1])
            return 200, _success({"queries": [] if found is None else [self._status(found.id)]})
        if path.endswith("/abort-request"):
            self.statements[path.split("/")[2]].cancelled = True
            return 200, _success(None)
        if path.endswith("/result"):
            return 200, _success(self._result(path.split("/")[2]))
        return 200, _success(None)

    def _status(self, id_: str) -> dict[str, Any]:
        state = self.statements[id_].state()
        code = "604" if state == "cancelled" else self.statements[id_].failure if state == "failed" else None
        return {"id": id_, "status": STATES[state], "errorCode": code, "errorMessage": "Value 'Ada' is not recognized"}

    def _result(self, id_: str) -> dict[str, Any]:
        columns, rows = self.result(self.statements[id_])
        rest = {"nullable": True, "length": 9, "byteLength": 9, "precision": 38, "scale": 0}
        return {
            "parameters": [],
            "rowtype": [{"name": name.upper(), "type": TYPES[kind], **rest} for name, kind in columns.items()],
            "rowset": [[None if value is None else str(value) for value in row] for row in rows],
            "total": len(rows),
            "returned": len(rows),
            "queryId": id_,
            "queryResultFormat": "json",
        }


def _success(data: Any) -> dict[str, Any]:
    return {"success": True, "data": data, "code": None, "message": None}


def _failure(code: str) -> dict[str, Any]:
    return {"success": False, "data": {"errorCode": code}, "code": code, "message": f"Refused: {PASSWORD}"}
