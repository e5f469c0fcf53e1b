"""The steps of the demo, and what each of them must show."""
