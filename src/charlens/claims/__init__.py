"""What the paper concludes, put to the test.

claims.py       the statements, one function each
page.py         their page
contiguous_split.py   what the paper's split is worth
"""
