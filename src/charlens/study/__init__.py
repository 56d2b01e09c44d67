"""`charlens study`: from files of one's own to a run of the workflow, and the page at its end.

texts.py   the files: found, decoded, shuffled, joined
plan.py    streams, networks and epochs from the length of the text and the time there is
study.py   the command: what the test text holds, the configuration, the run
"""
