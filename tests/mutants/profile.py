"""How Hypothesis runs against mutants: any counterexample is enough, and none is remembered."""

from hypothesis import Phase, settings

settings.register_profile(
    "mutants", phases=(Phase.explicit, Phase.generate), database=None, derandomize=True
)
settings.load_profile("mutants")
