"""Serving: the champion answers requests, follows the ledger to the next champion, and records what it said."""
