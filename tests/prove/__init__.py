"""The proof that nothing is lost: real processes, killed and starved, judged by an oracle."""
