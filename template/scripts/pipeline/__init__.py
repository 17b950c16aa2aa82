"""The shared build, test, package and deploy functions of every Lambda repository.

Folders, in the order in which they may import each other (downwards only):
cli, verbs, checks, feeds, package, function, local, runtime, stack, octopus, project, report, zip,
edge, deploy, core. The last two are packed whole: they are the deploy.
"""
