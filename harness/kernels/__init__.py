"""The fast algorithms that checkers share; they know neither files nor sentences."""
