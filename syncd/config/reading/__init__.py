"""Files of the configuration, read with everything that is wrong with them."""
