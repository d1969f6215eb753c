"""No example is too slow: machines differ, and the promises are not about speed."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
