"""Functions in JavaScript and TypeScript."""
