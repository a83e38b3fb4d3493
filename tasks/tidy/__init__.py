"""Tidy: unneeded data out, by rules that explain themselves."""
