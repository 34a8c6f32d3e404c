"""Bytes whole or not at all: files, folders, locks, the state of a run, downloads, progress, csv."""
