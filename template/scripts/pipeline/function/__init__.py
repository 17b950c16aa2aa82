"""From locked dependencies and own files to the function zip."""
