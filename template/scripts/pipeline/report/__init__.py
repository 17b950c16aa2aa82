"""One stream of events, and a printer for each place that shows it."""
