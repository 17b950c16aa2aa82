"""What is said before anybody gets a package."""
