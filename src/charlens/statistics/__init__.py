"""Uncertainty and error categories: numbers in, numbers out.

bootstrap.py    standard deviations and intervals by resampling
oracles.py      errors by their cause (section 4.4, figure 6)
"""
