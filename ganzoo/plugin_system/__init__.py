"""Plugins: their discovery, their declarations, and the choice of components by recipes."""
