"""Slow judges that are easy to believe. They share no code with the checkers."""
