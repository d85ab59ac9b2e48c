"""Where candles are fetched from; the packages of a provider are loaded when it is asked for."""

from importlib import import_module

from django.conf import settings

from apps.market.choices import ProviderName
from apps.market.models import Feed
from apps.market.providers.base import (
    Ask,
    Connection,
    Provider,
    ProviderNotReady,
    ask_venue,
)

CLASSES = {
    ProviderName.CCXT: ("apps.market.providers.ccxt", "CcxtProvider"),
    ProviderName.ALPACA: ("apps.market.providers.alpaca", "AlpacaProvider"),
    ProviderName.REPLAY: ("apps.market.providers.replay", "ReplayProvider"),
}


def connect(feed: Feed, ask: Ask = ask_venue) -> Provider:
    """Return the provider of a feed; ProviderNotReady when something is missing here.

    It puts its questions through ``ask``: a cache, or the venue each time.
    """
    module, name = CLASSES[ProviderName(feed.provider)]
    try:
        provider = getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        raise ProviderNotReady(
            f"The package {error.name} is not installed: pip install -r requirements-providers.txt."
        ) from error
    return provider(feed.exchange, connection_of(feed), feed.options, ask)


def connection_of(feed: Feed) -> Connection:
    """Return what the environment holds under the feed's connection name."""
    if not feed.connection:
        return Connection()
    try:
        return Connection(**settings.FEED_CONNECTIONS[feed.connection])
    except KeyError:
        variables = f"FEED_{feed.connection}_KEY, _SECRET or _URL"
        raise ProviderNotReady(f"The environment does not hold {variables}.") from None
