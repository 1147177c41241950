"""Upper quantiles of Student's t, of chi-square and of F, which are needed again and again.

SciPy is imported where it is used: it takes a fifth of a second, and most commands audit nothing.
"""

from functools import lru_cache

_LEVELS_KEPT = 4096


@lru_cache(maxsize=_LEVELS_KEPT)
def student_t(chance: float, freedom: int) -> float:
    """The value that Student's t with so many degrees of freedom exceeds with this chance."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]  # noqa: PLC0415 - see the module's docstring

    return float(-stdtrit(freedom, chance))


@lru_cache(maxsize=_LEVELS_KEPT)
def chi_square(chance: float, freedom: int) -> float:
    """The value that chi-square with so many degrees of freedom exceeds with this chance."""
    from scipy.special import chdtri  # noqa: PLC0415 - see the module's docstring

    return float(chdtri(freedom, chance))


@lru_cache(maxsize=_LEVELS_KEPT)
def f_ratio(chance: float, freedom_above: int, freedom_below: int) -> float:
    """The value that F with so many degrees of freedom exceeds with this chance."""
    from scipy.special import fdtri  # noqa: PLC0415 - see the module's docstring

    return float(fdtri(freedom_above, freedom_below, 1.0 - chance))
