"""Zip files: written the same everywhere, and read with trust in nothing."""
