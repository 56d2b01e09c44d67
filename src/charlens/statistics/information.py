"""Units of information. Losses are in nats everywhere; pages also show bits."""

import math


def bits(nats):
    """A number or array of nats, in bits."""
    return nats / math.log(2)
