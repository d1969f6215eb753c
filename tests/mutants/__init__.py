"""Named mutants: the core broken on purpose, one promise at a time; the tests must notice each."""
