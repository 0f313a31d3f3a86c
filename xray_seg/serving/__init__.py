"""TensorFlow graphs of the exported SavedModel, and the export of model folders.

The signatures of the SavedModel run in any TensorFlow server, without this package. Each graph
reproduces a function of the library; ``tests/serving`` holds it to the tolerance given here.

========================================  ===============================  ========================
graph                                     reproduces                       tolerance
========================================  ===============================  ========================
``network_graph.serving_graph``           the Keras model in inference     float32: 1e-5 (absolute)
``preprocessing_graph.decode_jsrt``       ``readers.raw.read_raw``         exact
``preprocessing_graph.decode_png``        ``readers.read`` of a PNG        exact
``preprocessing_graph.area_mean_graph``   ``kernels.area_mean``            1e-5 (relative)
``preprocessing_graph.preprocess_graph``  ``preprocessing.Preprocessor``   JSRT exact, PNG 1e-6
``outline_graph.smooth_heart_graph``      ``postprocessing.outlines``      exact, but for ties
``postprocessing_graph.restore_graph``    ``kernels.upsample_argmax``      exact
``postprocessing_graph.clean_graph``      ``postprocessing.cleanup.clean`` exact
``signatures.file_signatures``            ``Segmenter`` in float32 on CPU  JSRT exact, PNG 0.1 % of
                                                                           the pixels
========================================  ===============================  ========================
"""
