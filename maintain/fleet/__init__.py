"""A fleet: all repositories made from the template. Maintainers' only, never vendored."""
