"""Whose address counts, behind no, one and two proxies."""

import pytest

from pytake_gql.kernel.addresses import client_address


@pytest.mark.parametrize(
    ("forwarded", "proxies", "expected"),
    [
        (None, 0, "10.0.0.1"),
        ("1.1.1.1", 0, "10.0.0.1"),
        ("1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1", 1, "1.1.1.1"),
        ("6.6.6.6, 1.1.1.1, 10.0.0.2", 2, "1.1.1.1"),
        ("6.6.6.6,1.1.1.1 ,10.0.0.2", 2, "1.1.1.1"),
        ("1.1.1.1", 2, "1.1.1.1"),
        (None, 1, "10.0.0.1"),
        ("", 1, "10.0.0.1"),
        ("6.6.6.6, somewhere", 1, "10.0.0.1"),
        ("2001:DB8::1", 1, "2001:db8::1"),
    ],
)
def test_g16_only_what_trusted_proxies_saw_is_believed(forwarded: str | None, proxies: int, expected: str) -> None:
    headers = {} if forwarded is None else {"x-forwarded-for": forwarded}
    assert client_address("10.0.0.1", headers, proxies) == expected
