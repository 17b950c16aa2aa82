"""Lambda's Runtime API, and the processes behind it."""
