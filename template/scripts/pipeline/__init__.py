"""The shared build, test, package and deploy functions of every Lambda repository.

Folders, in the order in which they may import each other (downwards only):
tasks, verbs, engines, aws, octopus, feeds, local, archive, values, report, edge,
strict_json, errors.
"""
