"""TensorFlow graphs of the exported SavedModel, and the export itself."""
