"""The machine and the network: processes, git, uv, files, locks, the cache, HTTP."""
