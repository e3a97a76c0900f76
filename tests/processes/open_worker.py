"""A worker for which every name is this machine, and this machine is public: the recorder stands for the internet."""

from collections.abc import Sequence

from pytake_gql import bootstrap, cli
from pytake_gql.adapters.public_http import GuardedHttp


async def here(_host: str, _port: int) -> Sequence[str]:
    return ["127.0.0.1"]


if __name__ == "__main__":
    bootstrap.GuardedHttp = lambda: GuardedHttp(here, lambda _: True)  # type: ignore[assignment,misc]
    cli.main()
