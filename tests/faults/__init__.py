"""What goes wrong, what is promised then, and the tests that hold it: `make faults` runs them and writes the table."""
