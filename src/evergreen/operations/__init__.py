"""What keeps a running set-up in order: one pass of tending, and a doctor who says what is wrong."""
