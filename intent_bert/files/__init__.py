"""Bytes whole or not at all: folders, downloads, progress."""
