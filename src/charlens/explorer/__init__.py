"""The explorer: one page that shows a recurrent network at work, character by character.

The page holds a text and the network itself, in half precision. Workers in the page read the text,
what is looked at first: the state of every unit (tanh(c) for an LSTM, as in figure 2), every gate,
the likeliest next characters and the loss of each character. So a reader can type another text,
clamp units and let the network write. Of types other than LSTM, GRU and RNN, or where it is asked
for, the page holds recorded states instead. It opens from disk, needs no server and makes no
request.

explore.py                  `charlens explore`: from a model and a text to the page
own_text.py                 a text of one's own: read, recorded, and its units scored on it
recording.py                states, gates and predictions of the network, quantised
live.py                     the network in the page, and the states from which it reads
page.py                     the page: data, style and scripts in one file
page.html, page.css, *.js   its template, style and scripts; network.js and worker.js run in workers
beside.*                    two pages side by side in one
"""
