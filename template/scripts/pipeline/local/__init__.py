"""The embedded AWS and the Lambda runtime that executes packaged functions."""
