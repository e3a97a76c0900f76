"""`pytake`, and `python -m pytake_gql`."""

import gc

gc.disable()  # what the imports make stays: to look for garbage in it meanwhile is a sixth of the time to start

from pytake_gql import cli  # noqa: E402
from pytake_gql.kernel import garbage  # noqa: E402


def main() -> None:
    garbage.begin()
    cli.main()


if __name__ == "__main__":
    main()
