"""What is wrong with a set-up, and what to do: every finding a value, and nothing changed by looking."""
