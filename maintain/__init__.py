"""What the template's maintainers run; none of it is generated."""
