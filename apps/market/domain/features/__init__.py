"""The feature columns of a series of candles: what they are, and how they are computed."""
