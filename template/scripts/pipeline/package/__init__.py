"""Making and opening a package (.nupkg)."""
