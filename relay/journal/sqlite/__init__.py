"""SQLite: one file, its threads, its soundness."""
