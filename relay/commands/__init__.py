"""The commands, a module for each, which is imported when its command is called.

What a command needs beside its options it imports when it works: `--help` waits for nothing.
"""
