"""What `rehdr benchmark` measures."""
