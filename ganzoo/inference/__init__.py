"""What is done with trained weights: reading them, predicting, sampling, evaluating.

`weights` holds the file format, `modes` what a network does with its statistics and dropout;
`predict`, `sample` and `evaluate` are the commands. `network` is for weights that take data,
`drawing` for those that draw their inputs. `judging` has the metrics at work, `controls` what they
are compared with, `neighbours` looks for copies.
"""
