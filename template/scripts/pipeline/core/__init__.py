"""What everything builds on; packed whole, so it needs the standard library alone."""
