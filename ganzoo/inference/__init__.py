"""The use of trained weights: reading them, predicting, sampling and evaluating.

`weights_file` reads and writes the file format, and `modes` has the modes in which a network uses
its statistics and dropout. `predict`, `sample` and `evaluate` are the commands. `trained_network`
is for networks that take data, `from_noise` for networks that draw their inputs. `scoring` applies
the metrics, `baselines` makes the images that results are compared with, and `nearest_neighbours`
finds copies of training images.
"""
