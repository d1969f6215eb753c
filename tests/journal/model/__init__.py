"""The reference model of a journal: the contract in plain Python, for engines to agree with."""
