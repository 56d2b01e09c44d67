"""The explorer: one page on which to look into a recurrent network, character by character.

A stretch of text is run through the network with its exact running context. The page holds the
state of every unit (tanh(c) for an LSTM, as in the paper's figure 2) over all of it, every gate
over its beginning, the likeliest next characters, and the loss of each character. Opened from
disk, it needs no server and makes no request.

explore.py                  `charlens explore`: from a model and a text to the page
recording.py                what the network holds and expects, in 8 bits a value
page.py                     data, style and script put into one file
page.html, page.css, *.js   what that file is made of
"""
