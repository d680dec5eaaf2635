"""A trained model for other programs: CTranslate2, ONNX, or a small folder of weights alone."""
