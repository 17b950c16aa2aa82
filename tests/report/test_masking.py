"""Passwords in addresses are hidden in every spelling, and nothing else of them is."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline.core.masking import environment_secrets, masked_text, url_passwords


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git: https://me:word@host/x failed", "git: https://********@host/x failed"),
        ("http://token@host", "http://********@host"),
        ("HTTPS://a:b@c@host/@d", "HTTPS://********@host/@d"),
        ("socks5://me:p%40w@proxy:1080", "socks5://********@proxy:1080"),
        ('{"a":"https://host","b":"me@example"}', '{"a":"https://host","b":"me@example"}'),
        ("ssh://git@host/x", "ssh://git@host/x"),
        ("https://host:8080/a:b@c", "https://host:8080/a:b@c"),
        ("see https://host, or write to a:b@c", "see https://host, or write to a:b@c"),
        ("me:word@host", "me:word@host"),
    ],
)
def test_an_address_is_shown_without_its_user(text: str, shown: str) -> None:
    """Whether anybody knew the password or not."""
    assert masked_text(text, []) == shown
    assert masked_text(shown, []) == shown


@given(st.text("abc%/:@\"'\\é 1", min_size=6).filter(lambda word: word.strip() == word))
def test_a_password_is_hidden_however_it_is_written(password: str) -> None:
    """As it is, as in JSON with and without escapes, and inside a URL."""
    for text in (password, json.dumps(password)[1:-1], json.dumps(password, ensure_ascii=False)):
        assert password not in masked_text(f"<{text}>", [password])
        assert json.dumps(password, ensure_ascii=False)[1:-1] not in masked_text(text, [password])


def test_every_variable_with_an_address_is_looked_into() -> None:
    """Proxies, indexes, feeds, Octopus: whatever it is called."""
    environ = {
        "OCTOPUS_URL": "https://me:one%21@o",
        "PIP_INDEX_URL": "a http://u:two@h https://u@h",
    }
    keys = {"OCTOPUS_API_KEY": "API-X", "OCTOPUS_ACCESS_TOKEN": "ey.J", "HOME": "/home/me"}
    found = environment_secrets(environ | keys)
    assert {"API-X", "ey.J", "one%21", "one!", "two"} <= set(found)
    assert url_passwords("https://host/") == []
