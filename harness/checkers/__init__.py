"""What is judged: one checker per file, each a pure function of a history."""
