"""The URL of a warehouse: which engine it names, and how it is shown without its secrets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SCHEMES = {
    "postgresql": "PostgreSQL",
    "postgres": "PostgreSQL",
    "redshift": "Redshift",
    "snowflake": "Snowflake",
    "bigquery": "BigQuery",
    "databricks": "Databricks",
    "duckdb": "DuckDB",
}
"""Schemes of URLs, and the product that each names."""


_SECRET_WORDS = ("pass", "token", "secret", "key", "credential")
"""Parts of the names of options whose values are secrets."""


@dataclass(frozen=True)
class WarehouseUrl:
    """A URL that names a warehouse and how to log in.

    Attributes:
        text: The whole URL, with its secrets. It is not part of `repr`.
        scheme: One of `SCHEMES`, `postgresql` for `postgres`.
    """

    text: str = field(repr=False)
    scheme: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads a URL.

        Raises:
            ValueError: It is not the URL of a warehouse. The message does not contain it.
        """
        scheme, separator, rest = text.partition("://")
        if scheme not in SCHEMES or not separator or not rest or any(not "!" <= sign <= "~" for sign in text):
            raise ValueError(f"must be a URL that begins with one of {', '.join(f'{one}://' for one in SCHEMES)}")
        try:
            parts = urlsplit(text)
            parts.port  # noqa: B018 - a malformed port raises
        except ValueError:
            raise ValueError("must be a URL with a host and a numeric port") from None
        if scheme == "duckdb" and (parts.netloc or len(parts.path) < 2):
            raise ValueError("must have three slashes and the path of a file: duckdb:///data/profiles.duckdb")
        if scheme not in ("duckdb", "bigquery") and not parts.hostname:
            raise ValueError(f"must have a host: {scheme}://user:password@host/database")
        return cls(text, {"postgres": "postgresql"}.get(scheme, scheme))

    @property
    def parts(self) -> SplitResult:
        """The URL, split."""
        return urlsplit(self.text)

    @property
    def title(self) -> str:
        """Name of the product."""
        return SCHEMES[self.scheme]

    @property
    def options(self) -> dict[str, str]:
        """The query of the URL: name → its last value."""
        return {name: values[-1] for name, values in parse_qs(self.parts.query).items()}

    @property
    def schema(self) -> str | None:
        """The schema in which tables without one are looked for; None: that of the connection."""
        return self.options.get("schema")

    @property
    def place(self) -> str:
        """The warehouse in messages: product, host and database, never a user, a password or an option."""
        parts = self.parts
        if self.scheme == "duckdb":
            return f"DuckDB {unquote(parts.path)}"
        port = f":{parts.port}" if parts.port else ""
        return f"{self.title} {parts.hostname or ''}{port}{unquote(parts.path).rstrip('/')}"

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that must not appear in messages: the URL, its password, and options that hold secrets."""
        password = self.parts.password or ""
        hidden = [value for name, value in self.options.items() if any(word in name.lower() for word in _SECRET_WORDS)]
        return tuple(part for part in (self.text, password, unquote(password), *hidden) if part)
