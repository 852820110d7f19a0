"""Look at a table and write a spec for it: types, ranges, identifiers, leaks, a metric and candidates."""
