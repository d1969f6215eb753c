"""Tests of the journal: one contract for every engine."""
