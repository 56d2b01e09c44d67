"""Units of information. Losses are in nats; pages also show bits."""

import math


def bits(nats):
    """Convert nats to bits: a number, or an array of any shape."""
    return nats / math.log(2)
