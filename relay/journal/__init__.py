"""The relay's memory: the contracts of `relay.model.ports` and `relay.model.admin`, kept."""
