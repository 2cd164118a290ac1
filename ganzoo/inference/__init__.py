"""What is done with trained weights: reading them, predicting, evaluating.

`weights` holds the file format, `modes` what a network does with its statistics and dropout,
`predict` and `evaluate` the two commands, `controls` what an evaluation is compared with.
"""
