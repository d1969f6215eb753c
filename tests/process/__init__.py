"""The process itself: its loop, its memory, its disk."""
