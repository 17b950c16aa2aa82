"""The name that every repository's tasks.py imports."""

from ..cli import namespace as namespace
from ..cli import program as program
