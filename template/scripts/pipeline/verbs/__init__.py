"""One verb a file: options and values in, a value out; nothing here prints or exits."""
