"""The console: pages of the admin listener that show a running engine live, and call its functions."""

from engine.console.pages import console_pages

__all__ = ["console_pages"]
