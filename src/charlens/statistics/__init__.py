"""Uncertainty and error categories, from arrays alone.

bootstrap.py     standard deviations and intervals by resampling
intervals.py     standard deviation within groups, Wilson's interval
information.py   nats and bits
oracles.py       errors by cause (section 4.4, figure 6)
"""
