"""Environments that somebody names to act on what they publish: one in which nothing was ever published is mistyped.

A convergence may begin an environment; nothing else does.
"""

from spam_pipeline.protocol.operating import PRODUCTION, Engine, UnknownEnvironment, did_you_mean


def require_environment(engine: Engine) -> None:
    """Raise `UnknownEnvironment` when nothing was ever published in the engine's environment."""
    name, known = engine.environment, {PRODUCTION, *(item.name for item in engine.ledger.environments())}
    if name not in known:
        near = did_you_mean(name, known) or f"; there are {', '.join(sorted(known))}"
        raise UnknownEnvironment(f"nothing was ever published in an environment called {name}{near}")


def require_environment_to_decide(engine: Engine, version: str) -> None:
    """Raise like `require_environment`, unless the version is of code that production publishes nothing of.

    A branch of the code whose first versions were all refused has published nothing yet, and they are decided there.
    """
    named = [(item.stage, item.code_version) for item, _ in engine.ledger.find(version, engine.environment)]
    published = engine.ledger.published(PRODUCTION, {stage for stage, _ in named})
    codes = {(stage, item.code_version) for stage, by_key in published.items() for item in by_key.values()}
    if not named or not codes.isdisjoint(named):
        require_environment(engine)
