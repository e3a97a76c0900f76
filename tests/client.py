"""A GraphQL client for tests: POSTs to the door as the front ends do."""

from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Client:
    http: httpx.AsyncClient
    token: str | None
    locale: str = "en"

    async def post(self, document: str, **variables: Any) -> dict[str, Any]:
        """The whole answer: `data` and `errors`."""
        headers = {"accept-language": self.locale}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        answer = await self.http.post("/graphql", json={"query": document, "variables": variables}, headers=headers)
        body: dict[str, Any] = answer.json()
        return body

    async def ask(self, document: str, **variables: Any) -> Any:
        """The data of an answer without errors; of a document with one root field, that field's value."""
        answer = await self.post(document, **variables)
        assert "errors" not in answer, answer["errors"]
        data = answer["data"]
        return next(iter(data.values())) if len(data) == 1 else data

    async def code(self, document: str, **variables: Any) -> str:
        """The code of the one error that the answer has."""
        answer = await self.post(document, **variables)
        assert len(answer["errors"]) == 1, answer
        code: str = answer["errors"][0]["extensions"]["code"]
        return code
