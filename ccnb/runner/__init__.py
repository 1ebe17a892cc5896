"""One run: start, follow, limit, collect, clean up, attach."""
