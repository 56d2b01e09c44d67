"""The explorer: one page that shows a recurrent network at work, character by character.

The network reads a text with its exact running context. The page holds the state of every unit over
all of the text (tanh(c) for an LSTM, as in figure 2), every gate over its beginning, the likeliest
next characters, and the loss of each character. It opens from disk, needs no server and makes no
request.

explore.py                  `charlens explore`: from a model and a text to the page
own_text.py                 a text of one's own: read, recorded, and its units scored on it
recording.py                states, gates and predictions of the network, quantised
page.py                     the page: data, style and scripts in one file
page.html, page.css, *.js   its template, style and scripts
"""
