"""Handles the messages of an SQS queue."""
