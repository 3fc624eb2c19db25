"""Training by gradients: `loop.train` changes what a `Trainable` names, by a `Schedule`."""
