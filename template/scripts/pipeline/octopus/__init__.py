"""Octopus Deploy: its client, and running a script as its workers do."""
