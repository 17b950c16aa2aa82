"""The settings, from the function's environment variables."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUIRED = (
    "LOGSTASH_HOST",
    "LOGSTASH_PORT",
    "LOG_ENVIRONMENT",
    "LOG_APPLICATION",
    "LOG_COMPONENT",
)
_SWITCH = {"on": True, "off": False}
_LAST_PORT = 65_535


class SettingsError(ValueError):
    """An environment variable is missing or wrong; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Where the lines go and what is written beside each of them. Timeouts are in seconds."""

    host: str
    port: int
    tls: bool = False
    ca_file: str | None = None
    connect_timeout: float = 5.0
    write_timeout: float = 20.0
    environment: str
    application: str
    component: str
    source_module: str = "ELB"
    type: str = "logs"

    @classmethod
    def from_environment(cls, variables: Mapping[str, str]) -> Settings:
        """Read the variables. Raises SettingsError, which names all that are missing."""
        if missing := [name for name in _REQUIRED if not variables.get(name)]:
            message = f"missing environment variables: {', '.join(missing)}"
            raise SettingsError(message)
        return cls(
            host=variables["LOGSTASH_HOST"],
            port=_port(variables["LOGSTASH_PORT"]),
            tls=_switch("LOGSTASH_TLS", variables.get("LOGSTASH_TLS") or "off"),
            ca_file=variables.get("LOGSTASH_CA_FILE") or None,
            connect_timeout=_seconds(
                "LOGSTASH_CONNECT_TIMEOUT", variables.get("LOGSTASH_CONNECT_TIMEOUT") or "5"
            ),
            write_timeout=_seconds(
                "LOGSTASH_WRITE_TIMEOUT", variables.get("LOGSTASH_WRITE_TIMEOUT") or "20"
            ),
            environment=variables["LOG_ENVIRONMENT"],
            application=variables["LOG_APPLICATION"],
            component=variables["LOG_COMPONENT"],
            source_module=variables.get("LOG_SOURCE_MODULE") or "ELB",
            type=variables.get("LOG_TYPE") or "logs",
        )


def _port(text: str) -> int:
    if not (text.isdecimal() and 0 < int(text) <= _LAST_PORT):
        message = f"LOGSTASH_PORT is {text!r}, not a port (1 to {_LAST_PORT})"
        raise SettingsError(message)
    return int(text)


def _switch(name: str, text: str) -> bool:
    if text.lower() not in _SWITCH:
        message = f"{name} is {text!r}, neither `on` nor `off`"
        raise SettingsError(message)
    return _SWITCH[text.lower()]


def _seconds(name: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        message = f"{name} is {text!r}, not a number of seconds above 0"
        raise SettingsError(message)
    return seconds
