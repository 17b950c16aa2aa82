"""Constructors of values: what the repository, git and the build server say."""
