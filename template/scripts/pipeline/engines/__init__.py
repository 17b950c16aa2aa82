"""From locked dependencies and the function's own files to the bytes that Lambda runs."""
