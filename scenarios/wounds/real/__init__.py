"""The same wounds on real Docker engines, where those are installed and the user is root."""
