"""Octopus Deploy: what a worker gives a script, and running one as a worker does."""
