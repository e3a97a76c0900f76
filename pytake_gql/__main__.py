"""`python -m pytake_gql` is `pytake`."""

from pytake_gql.cli import main

main()
