"""Observers of a run: their hooks show and record the run, and never change it."""

from __future__ import annotations

from ganzoo.observers.base import Observer
from ganzoo.observers.user_log import Voice

__all__ = ["Observer", "Voice"]
