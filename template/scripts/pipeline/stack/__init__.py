"""CloudFormation, from a developer's machine or build server."""
