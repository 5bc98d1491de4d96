"""The head start in clipped pixels, as a reference in PyTorch and in compiled loops."""
