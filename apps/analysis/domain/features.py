"""What kind of thing a model looks at, by the name of the feature."""

from apps.analysis.choices import FeatureCategory

# In this order: the first word found in a name decides.
WORDS = {
    FeatureCategory.SENTIMENT: ("sentiment", "fear", "greed"),
    FeatureCategory.ON_CHAIN: (
        "onchain", "on_chain", "on-chain", "volume", "transaction", "nvt",
    ),
    FeatureCategory.MACRO: ("macro", "sp500", "gold", "vix"),
}  # fmt: skip


def category_of(feature_name: str) -> FeatureCategory:
    """Return the category of a feature: by the words in its name, else technical.

    ``fear_greed_index`` is sentiment, ``onchain_hodl_proxy`` on-chain, ``vix_close`` macro,
    ``rsi_14`` technical. Upper and lower case are the same.
    """
    name = feature_name.lower()
    for category, words in WORDS.items():
        if any(word in name for word in words):
            return category
    return FeatureCategory.TECHNICAL
