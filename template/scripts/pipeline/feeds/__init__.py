"""Package feeds: a folder, NuGet servers of both protocols, Octopus's built-in feed."""

from __future__ import annotations

__all__: list[str] = []
