"""Uncertainty and error categories: numbers in, numbers out.

bootstrap.py     standard deviations and intervals by resampling
intervals.py     the same from formulas: spread within groups, Wilson's interval
information.py   nats and bits
oracles.py       errors by their cause (section 4.4, figure 6)
"""
