"""Where the pipeline touches the machine: processes, git, uv, the clock, files."""
