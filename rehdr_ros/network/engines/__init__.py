"""Ways to run a network: what is fastest on a device, and files for other runtimes."""
