"""Plugins: how they are found, what they declare, and how a recipe's names become components."""
