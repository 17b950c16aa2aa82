"""Handles objects put into an S3 bucket."""
