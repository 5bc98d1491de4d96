"""What `rehdr export` writes."""
