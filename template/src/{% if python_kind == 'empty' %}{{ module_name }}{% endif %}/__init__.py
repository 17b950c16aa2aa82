"""A Lambda function."""
