"""Training networks, and using trained ones.

recipe.py       hyperparameters (section 4.1)
train.py        the training loop and its job
side_by_side.py several trainings in one process
rmsprop.py      the optimizer of the paper
adamw.py        that of the AdamW recipe
dropout.py      the dropout draw
checkpoint.py   checkpoints, from which a training resumes
snapshots.py    parameters at several times of a training
evaluate.py     the loss on a part of the split
stopping.py     what a training does when it is told to stop
select.py       the best candidate by validation loss
score.py        log-probability of every test character
score_text.py   the same for a text of your own
sample.py       text written by a network
first_epochs.py an LSTM in its first epochs, compared with the n-NN (figure 5)
"""
