"""Deterministic zip files, and NuGet packages made of them."""
