"""Speed and memory, measured side by side in one go: ``make bench``. Ratios count; seconds are this machine's today."""
