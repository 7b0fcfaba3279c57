"""The live page: figures of each second of the last 15 minutes, and the page itself."""
