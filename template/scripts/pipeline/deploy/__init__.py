"""The deploy of an unpacked package: packed whole, with `core`."""
