"""``make load``: many targets due at once, and many runs in a row, on one machine; docs/scaling.md tells what came of
it."""
