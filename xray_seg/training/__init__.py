"""Training of networks: ``run.train`` goes from folders of radiographs and masks to a model.

- ``config``: training configuration
- ``run``: a whole run; ``trainer``: the training loop; ``publish``, ``report``: its results
- ``build``, ``loader``, ``augmentation``: network and batches that a configuration describes
- ``run_record``, ``checkpoints``: files of a run folder
- ``devices``, ``hosts``: training on several GPUs and machines
"""
