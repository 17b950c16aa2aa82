"""Remotes of git as addresses that a browser opens."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.octopus.build_information import web_url


@pytest.mark.parametrize(
    ("remote", "address"),
    [
        ("https://github.com/acme/orders.git", "https://github.com/acme/orders"),
        ("https://github.com/acme/orders", "https://github.com/acme/orders"),
        ("https://me:token@github.com/acme/orders.git/", "https://github.com/acme/orders"),
        ("http://git.acme.example:8080/orders.git", "http://git.acme.example:8080/orders"),
        ("git@github.com:acme/orders.git", "https://github.com/acme/orders"),
        ("github.com:acme/orders.git", "https://github.com/acme/orders"),
        ("ssh://git@git.acme.example:7999/team/orders.git", "https://git.acme.example/team/orders"),
        ("git://git.acme.example/orders.git", "https://git.acme.example/orders"),
        ("git@ssh.dev.azure.com:v3/acme/shop/orders", "https://dev.azure.com/acme/shop/_git/orders"),
        ("https://acme@dev.azure.com/acme/shop/_git/orders", "https://dev.azure.com/acme/shop/_git/orders"),
        ("https://git.acme.example/a b.git", "https://git.acme.example/a%20b"),
        ("/srv/git/orders.git", ""),
        ("../orders", ""),
        ("file:///srv/git/orders.git", ""),
        ("C:/git/orders", ""),
        ("C:\\git\\orders", ""),
        ("codecommit::eu-west-1://orders", ""),
        ("https://[broken/orders", ""),
        ("https://github.com", ""),
        ("", ""),
    ],
)  # fmt: skip
def test_a_remote_becomes_an_address(remote: str, address: str) -> None:
    """The forms that servers give out, and those that no browser opens."""
    assert web_url(remote) == address


@given(
    st.sampled_from(["https://{}@{}/{}", "http://{}@{}:81/{}", "ssh://{}@{}:22/{}", "{}@{}:{}"]),
    st.from_regex(r"[a-z]{1,5}:SECRET[a-z]{1,9}", fullmatch=True),
    st.from_regex(r"[a-z]{1,9}(\.[a-z]{2,5}){1,2}", fullmatch=True),
    st.text(st.characters(exclude_characters="?#"), max_size=30),
)
def test_no_password_ever_gets_out(form: str, user: str, host: str, path: str) -> None:
    """Whatever the remote is, its user and password are not in the address."""
    address = web_url(form.format(user, host, path))
    assert "SECRET" not in address or "SECRET" in path
    assert "@" not in urlsplit(address).netloc


@given(st.text(max_size=60))
def test_any_text_is_taken(remote: str) -> None:
    """The answer is an address, or nothing."""
    address = web_url(remote)
    assert address == "" or urlsplit(address).scheme in ("http", "https")
