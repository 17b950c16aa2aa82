"""Frozen values, and the named constructors that read them."""
