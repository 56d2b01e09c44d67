"""Speed, and whether fast networks are as good.

speed.py        training beside stock torch
equal.py        test losses of the compiled code beside the reference's
"""
