"""Zip files: written with the same bytes everywhere, and read without trusting what they say."""
