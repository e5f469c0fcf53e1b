"""`syncd init`: a first configuration, from answers on the command line or at the terminal."""
