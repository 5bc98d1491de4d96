"""What recordings and reconstructions are written to: a folder of products, videos, bags."""
