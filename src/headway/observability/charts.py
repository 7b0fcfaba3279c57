"""The script that draws charts, from inside plotly's package: no page needs a network.

The live page and the reports of load tests embed it.
"""

from functools import cache

from headway.errors import MissingExtraError

__all__ = ["chart_script"]


@cache
def chart_script() -> str:
    """Return plotly's JavaScript, a few MB.

    Raises:
        MissingExtraError: If plotly is not installed.
    """
    try:
        from plotly.offline import get_plotlyjs
    except ImportError as error:
        raise MissingExtraError(
            "charts need plotly: pip install 'headway[charts]'"
        ) from error
    script: str = get_plotlyjs()
    return script
