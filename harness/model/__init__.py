"""The words of the field as plain data. Nothing in here does I/O."""
