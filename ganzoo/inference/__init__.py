"""The use of trained weights: reading them, predicting, sampling and evaluating.

`weights_file` reads and writes the file format, and `modes` has the modes in which a network uses
its statistics and dropout. `predict`, `sample`, `evaluate` and `bundle` are the commands. An
application is one use of trained networks: `applications` says which one is meant,
`application_weights` finds the files of its networks, `load_application` builds them, and
`trained_application` and `from_noise` run it on data and on drawn inputs. `scoring` applies the
metrics, `baselines` makes the images that results are compared with, and `nearest_neighbours` finds
copies of training images.
"""
