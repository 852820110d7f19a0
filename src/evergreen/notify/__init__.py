"""Tell people what happened: texts of facts, and the channels that carry them."""
