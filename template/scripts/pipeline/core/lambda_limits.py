"""Limits of a Lambda function's code and settings, and reserved names; as of 2026-11-23."""

from __future__ import annotations

import re

MEBIBYTE = 1 << 20
UNZIPPED_LIMIT = 250 * MEBIBYTE
# What a request may carry; a larger function zip has to go through S3.
DIRECT_UPLOAD_LIMIT = 50 * MEBIBYTE
ENVIRONMENT_LIMIT = 4096  # bytes, as JSON without blanks
HANDLER_LIMIT = 128
DESCRIPTION_LIMIT = 256
FUNCTION_NAME_LIMIT = 64
# For `fullmatch`.
VARIABLE_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_]+")
# AWS's own list. Other names it gives a meaning, like AWS_LAMBDA_EXEC_WRAPPER, may be set.
RESERVED_VARIABLES = frozenset(
    [
        "_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_NAME", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_VERSION", "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME", "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
        "AWS_LAMBDA_RUNTIME_API", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR",
    ]
)  # fmt: skip
